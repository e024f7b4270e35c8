import Console
package import Model

/// Has the running gateway do something on a connection that it polls, and shows what it says meanwhile.
package struct ToolClient: Sendable {
    /// What is said before the result.
    package enum Message: Hashable, Sendable {
        case trace(String)
        case progress(BusScan.Progress)
    }

    package enum Outcome: Hashable, Sendable {
        case result(JSONValue)
        /// Says why, in words.
        case failure(String)
        /// No gateway runs here, or it does not poll this connection: it is free.
        case elsewhere
    }

    private let client: ControlClient

    package init(stateFolder: String) {
        client = ControlClient(stateFolder: stateFolder)
    }

    package func run(_ request: ToolRequest, each: (Message) -> Void = { _ in }) -> Outcome {
        var outcome = Outcome.failure("the gateway stopped meanwhile")
        let end = client.follow(request.line) { line in
            guard let document = try? JSONValue(parsing: Array(line.utf8)) else {
                outcome = .failure("the gateway answered something else than JSON")
                return false
            }
            if let message = Self.message(document) {
                each(message)
                return true
            }
            outcome =
                document["result"].map(Outcome.result) ?? document["error"]?.text.map(Outcome.failure) ?? .elsewhere
            return false
        }
        return end == .noGateway ? .elsewhere : outcome
    }

    private static func message(_ document: JSONValue) -> Message? {
        if let text = document["trace"]?.text { return .trace(text) }
        if let lost = document["lost"]?.integer(in: 0...Int.max) {
            return .trace("\(lost) more were not shown: too slow a reader")
        }
        guard let progress = document["progress"] else { return nil }
        func number(_ key: String) -> Int { progress[key]?.integer(in: 0...Int(Int32.max)) ?? 0 }
        let format = progress["format"]?.text.flatMap(SerialFormat.init(name:))
        return .progress(
            BusScan.Progress(
                line: format.map { SerialLine(path: "", baud: number("baud"), format: $0) },
                unit: UInt8(clamping: number("unit")), asked: number("asked"), limit: number("limit"),
                found: number("found"),
                remaining: progress["remaining_ms"]?.integer(in: 0...Int64(UInt32.max)).map { .milliseconds($0) }))
    }
}
