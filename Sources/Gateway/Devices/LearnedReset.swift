import Console
import Model

/// What the running gateway forgot of a device.
package struct LearnedReset: Sendable {
    private let document: JSONValue

    package static func ask(of device: String, stateFolder: String) throws(DeskProblem) -> LearnedReset {
        guard !device.contains(where: \.isWhitespace), !device.isEmpty else {
            throw .refused(code: nil, message: "'\(device)' is no id of a device")
        }
        guard let answer = ControlClient(stateFolder: stateFolder).ask("forget \(device)", timeout: .seconds(5)) else {
            throw .noGateway(folder: stateFolder)
        }
        guard let reply = try? JSONValue(parsing: Array(answer.utf8)) else { throw .unexpected(answer) }
        if let message = reply["error"] { throw .refused(code: nil, message: message.text ?? "") }
        guard reply["forgotten"] != nil else { throw .unexpected(answer) }
        return LearnedReset(document: reply)
    }

    package var json: [UInt8] { document.bytes }

    package var text: String {
        let forgotten = document["forgotten"]
        var parts: [String] = []
        func count(_ key: String, _ words: String) {
            let number = forgotten?.number(key) ?? 0
            if number > 0 { parts.append("\(words): \(number)") }
        }
        count("refused", "refused addresses")
        count("cuts", "places where requests begin anew")
        count("registers", "limit of registers")
        count("bits", "limit of bits")
        let words = parts.isEmpty ? "nothing was learned" : "forgotten (\(parts.joined(separator: ", ")))"
        return TextTable.safe("\(document.text("device")): \(words); the gateway asks as the profile says")
    }
}
