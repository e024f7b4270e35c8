import Engine
import Model
import Payloads

/// Answers the requests of the local socket, each with one JSON document.
struct ControlRequests {
    let assembly: Assembly

    func answer(_ request: String) async -> [UInt8] {
        let words = request.split(separator: " ").map(String.init)
        switch (words.first, words.count) {
        case ("status", 1): return await assembly.status(.online).json
        case ("read", 2): return await read(words[1])
        default: return problem("unknown request; allowed: status, read DEVICE")
        }
    }

    private func read(_ device: String) async -> [UInt8] {
        guard let rows = await assembly.readNow(device) else { return problem("no device '\(device)'") }
        return ReadDocument(
            device: device, rows: rows.map { .init(point: $0.point, value: $0.value, reasons: $0.reasons) }
        ).json
    }

    private func problem(_ text: String) -> [UInt8] {
        ReadDocument.problem(text)
    }
}
