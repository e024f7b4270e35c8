import Model

/// Requests and replies in words (Modbus Application Protocol V1.1b3, section 6). Whatever does not fit its function is
/// called malformed: a trace shows what there is.
enum PDUText {
    /// Values of a reply that are written out; the bytes show all.
    private static let valueLimit = 16

    static func request(_ pdu: [UInt8]) -> String {
        guard let function = pdu.first else { return "empty request" }
        let name = name(of: function)
        switch (function, pdu.count) {
        case (1...4, 5): return "\(name) \(word(pdu, 1)) count \(word(pdu, 3))"
        case (5, 5): return "\(name) \(word(pdu, 1)) = \(coil(word(pdu, 3)))"
        case (6, 5): return "\(name) \(word(pdu, 1)) = \(hexWord(word(pdu, 3)))"
        case (15, 6...): return "\(name) \(word(pdu, 1)) count \(word(pdu, 3)) = \(bits(pdu[6...], word(pdu, 3)))"
        case (16, 6...): return "\(name) \(word(pdu, 1)) count \(word(pdu, 3)) = \(words(pdu[6...]))"
        case (17, 1): return name
        case (22, 7): return "\(name) \(word(pdu, 1)) and \(hexWord(word(pdu, 3))) or \(hexWord(word(pdu, 5)))"
        case (43, 4) where pdu[1] == 14: return "\(name) from object \(pdu[3])"
        default: return "\(name), malformed or unknown"
        }
    }

    static func reply(_ pdu: [UInt8], to request: [UInt8]) -> String {
        guard let function = pdu.first else { return "empty reply" }
        if function & 0x80 != 0 {
            let code = pdu.count == 2 ? exception(pdu[1]) : "malformed exception"
            return "\(code) to \(name(of: function & 0x7F))"
        }
        let name = name(of: function)
        let place = (1...4).contains(function) && request.count == 5 ? " \(word(request, 1))" : ""
        switch (function, pdu.count) {
        case (1...2, 3...) where Int(pdu[1]) == pdu.count - 2:
            let count = request.count == 5 ? word(request, 3) : UInt16(pdu.count - 2) * 8
            return "\(name)\(place): \(bits(pdu[2...], count))"
        case (3...4, 4...) where Int(pdu[1]) == pdu.count - 2: return "\(name)\(place): \(words(pdu[2...]))"
        case (5...6, 5), (22, 7): return "\(Self.request(pdu)) done"
        case (15...16, 5): return "\(name) \(word(pdu, 1)) count \(word(pdu, 3)) done"
        case (17, 3...): return "\(name): \(IdentityQuery.serverID(in: pdu).map { "'\($0)'" } ?? "no text")"
        case (43, 7...): return "\(name): \(objects(pdu))"
        default: return "\(name), malformed"
        }
    }

    /// Section 7 of the same document.
    static func exception(_ code: UInt8) -> String {
        ExceptionMeaning.coded(code)
    }

    private static func name(of function: UInt8) -> String {
        switch function {
        case 1: "read coils"
        case 2: "read discrete inputs"
        case 3: "read holding registers"
        case 4: "read input registers"
        case 5: "write coil"
        case 6: "write register"
        case 15: "write coils"
        case 16: "write registers"
        case 17: "report server id"
        case 22: "mask write register"
        case 43: "read device identification"
        default: "function \(function)"
        }
    }

    // MARK: - Values

    static func hex(_ bytes: some Sequence<UInt8>) -> String {
        bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined(separator: " ")
    }

    private static func word(_ bytes: [UInt8], _ index: Int) -> UInt16 {
        UInt16(bytes[index]) << 8 | UInt16(bytes[index + 1])
    }

    private static func hexWord(_ word: UInt16) -> String {
        let digits = String(word, radix: 16, uppercase: true)
        return "0x" + String(repeating: "0", count: 4 - digits.count) + digits
    }

    private static func words(_ bytes: ArraySlice<UInt8>) -> String {
        let all = Array(bytes)
        let words = stride(from: 0, to: all.count - 1, by: 2).map { hexWord(word(all, $0)) }
        return shortened(words)
    }

    private static func bits(_ bytes: ArraySlice<UInt8>, _ count: UInt16) -> String {
        let all: [String] = bytes.flatMap { byte in [UInt8](0..<8).map { byte >> $0 & 1 == 1 ? "1" : "0" } }
        return shortened(Array(all.prefix(Int(count))))
    }

    private static func shortened(_ values: [String]) -> String {
        let shown = values.prefix(valueLimit).joined(separator: " ")
        return values.count > valueLimit ? "\(shown) and \(values.count - valueLimit) more" : shown
    }

    private static func coil(_ word: UInt16) -> String {
        switch word {
        case 0xFF00: "on"
        case 0: "off"
        default: hexWord(word)
        }
    }

    private static func objects(_ pdu: [UInt8]) -> String {
        guard let part = IdentityQuery.Part(pdu) else { return "malformed" }
        let objects = part.objects.sorted { $0.key < $1.key }.map { "\($0.key) '\($0.value)'" }
        let more = part.next.map { ["more from object \($0)"] } ?? []
        return (objects + more).joined(separator: ", ")
    }
}
