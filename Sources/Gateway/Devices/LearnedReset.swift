import Console
import Model

/// What the running gateway forgot of a device.
package struct LearnedReset: Sendable {
    private let document: JSONValue

    package static func ask(of device: String, stateFolder: String) throws(DeskProblem) -> LearnedReset {
        guard !device.contains(where: \.isWhitespace), !device.isEmpty else {
            throw .refused(code: nil, message: "'\(device)' is no id of a device")
        }
        return LearnedReset(
            document: try ControlClient.document(
                of: "forget \(device)", with: "forgotten", stateFolder: stateFolder))
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
