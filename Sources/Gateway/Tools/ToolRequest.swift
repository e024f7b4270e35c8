package import Model

/// What a tool at the shell asks of the running gateway: `tool DOCUMENT` on the local socket, answered by lines of JSON:
/// `{"trace"}`, `{"lost"}` (lines of the trace that a slow reader missed) and `{"progress"}`, and at the end `{"result"}`,
/// `{"error"}` or `{"elsewhere":true}` for a connection that this gateway does not poll.
package struct ToolRequest: Hashable, Sendable {
    package enum Job: Hashable, Sendable {
        /// Shows what is said on the connection, for so long.
        case trace(seconds: Int)
        case probe(RegisterSpan, unit: UInt8)
        case scan(ScanOrder)
        /// Reads the device of the site file with this name.
        case read(device: String)
    }

    /// How long a trace may be asked for.
    package static let traceSeconds = 1...86_400

    /// For the answer to a line that is none.
    static let allowed =
        "not a tool request; allowed: {do: trace, seconds: 1 to 86400}, {do: scan, units: 0 to 255 each, timeout_ms: 1 to "
        + "60000, baud: 300 to 4000000 each, format: such as 8E1 each}, {do: probe, unit, table, address, count} and {do: read, device}"

    package var job: Job
    /// Name or endpoint; for ``Job/read(device:)`` it is the device's.
    package var connection: String
    /// Whether the trace is shown besides.
    package var isTraced: Bool

    package init(_ job: Job, connection: String, isTraced: Bool = false) {
        self.job = job
        self.connection = connection
        self.isTraced = isTraced
    }

    /// The request line.
    package var line: String {
        let place: [(String, JSONValue)] = [
            ("connection", .string(connection)), ("traced", isTraced ? .bool(true) : .null),
        ]
        return "tool " + String(decoding: JSONValue.compact(place + members).bytes, as: UTF8.self)
    }

    private var members: [(String, JSONValue)] {
        switch job {
        case .trace(let seconds): [("do", .string("trace")), ("seconds", .integer(seconds))]
        case .probe(let span, let unit):
            [
                ("do", .string("probe")), ("unit", .integer(unit)), ("table", .string(span.table.rawValue)),
                ("address", .integer(span.start)), ("count", .integer(span.registerCount)),
            ]
        case .scan(let order): [("do", .string("scan"))] + order.members
        case .read(let device): [("do", .string("read")), ("device", .string(device))]
        }
    }

    /// Nil for a line that is no such request.
    package init?(line: String) {
        guard line.hasPrefix("tool "), let document = try? JSONValue(parsing: Array(line.dropFirst(5).utf8)) else {
            return nil
        }
        connection = document["connection"]?.text ?? ""
        isTraced = document["traced"]?.isTrue ?? false
        switch document["do"]?.text {
        case "trace":
            guard let seconds = (document["seconds"] ?? .integer(30)).integer(in: Self.traceSeconds) else { return nil }
            job = .trace(seconds: seconds)
        case "read": job = .read(device: document["device"]?.text ?? "")
        case "scan":
            guard let order = ScanOrder(document) else { return nil }
            job = .scan(order)
        case "probe":
            guard let table = document["table"]?.text.flatMap(RegisterTable.init(rawValue:)),
                let start = document["address"]?.integer(in: 0...UInt16.max),
                let count = document["count"]?.integer(in: 1...table.protocolLimit), Int(start) + count <= 65_536,
                let unit = document["unit"]?.integer(in: 0...UInt8.max)
            else { return nil }
            job = .probe(RegisterSpan(table: table, start: start, registerCount: count), unit: unit)
        default: return nil
        }
    }
}
