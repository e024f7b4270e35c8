extension Encoding {
    /// The text of the registers, without what pads it: NUL and 0xFF at either end, white space around it. It ends at the
    /// first NUL behind a character. Registers that are all 0xFF hold no text; a control character, and bytes that the
    /// character set does not have, are an error.
    func decodeText(_ words: Span<UInt16>) -> Decoded {
        let bytes = textBytes(words)
        if bytes.allSatisfy({ $0 == 0xFF }) { return .bad(sentinelReason) }
        guard let text = charset == .utf16 ? Self.utf16(bytes) : string(of: Self.unpadded(bytes)) else {
            return .bad(.decodeError)
        }
        let scalars = text.unicodeScalars.map { Self.whiteSpace.contains($0) ? " " : $0 }
        guard scalars.allSatisfy({ $0.value >= 0x20 && !(0x7F...0x9F).contains($0.value) }) else {
            return .bad(.decodeError)
        }
        let isCharacter: (Unicode.Scalar) -> Bool = { $0 != " " }
        guard let first = scalars.firstIndex(where: isCharacter), let last = scalars.lastIndex(where: isCharacter)
        else {
            return .value(.string(""))
        }
        var trimmed = String.UnicodeScalarView()
        trimmed.append(contentsOf: scalars[first...last])
        return .value(.string(String(trimmed)))
    }

    private static let whiteSpace: Set<Unicode.Scalar> = ["\t", "\n", "\r"]

    private func textBytes(_ words: Span<UInt16>) -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(words.count * 2)
        for index in words.indices {
            let word = words[index]
            let high = UInt8(truncatingIfNeeded: word >> 8)
            let low = UInt8(truncatingIfNeeded: word)
            switch characters {
            case .highFirst: bytes += [high, low]
            case .lowFirst: bytes += [low, high]
            case .high: bytes.append(high)
            case .low: bytes.append(low)
            }
        }
        return bytes
    }

    private static func unpadded(_ bytes: [UInt8]) -> ArraySlice<UInt8> {
        let isPadding: (UInt8) -> Bool = { $0 == 0 || $0 == 0xFF }
        var text = bytes.drop(while: isPadding).prefix { $0 != 0 }
        while let last = text.last, isPadding(last) { text.removeLast() }
        return text
    }

    private func string(of bytes: ArraySlice<UInt8>) -> String? {
        switch charset {
        case .utf8: String(validating: bytes, as: UTF8.self)
        case .latin1: Self.latin1(bytes)
        case .any: String(validating: bytes, as: UTF8.self) ?? Self.latin1(bytes)
        case .utf16: nil
        }
    }

    private static func latin1(_ bytes: ArraySlice<UInt8>) -> String {
        var scalars = String.UnicodeScalarView()
        scalars.append(contentsOf: bytes.map { Unicode.Scalar($0) })
        return String(scalars)
    }

    private static func utf16(_ bytes: [UInt8]) -> String? {
        let units = stride(from: 0, to: bytes.count - 1, by: 2).map { UInt16(bytes[$0]) << 8 | UInt16(bytes[$0 + 1]) }
        let isPadding: (UInt16) -> Bool = { $0 == 0 || $0 == 0xFFFF }
        var text = units.drop(while: isPadding).prefix { $0 != 0 }
        while let last = text.last, isPadding(last) { text.removeLast() }
        return String(validating: text, as: UTF16.self)
    }

    // MARK: - Encoding

    func encodeText(_ text: String) throws(EncodingError) -> [UInt16] {
        guard text.unicodeScalars.allSatisfy({ $0.value >= 0x20 && !(0x7F...0x9F).contains($0.value) }) else {
            throw .outOfRange
        }
        let bytes = try bytes(of: text)
        let perRegister = characters == .highFirst || characters == .lowFirst ? 2 : 1
        guard bytes.count <= registerCount * perRegister else { throw .outOfRange }
        return (0..<registerCount).map { register in
            let first = register * perRegister < bytes.count ? UInt16(bytes[register * perRegister]) : 0
            let second = perRegister == 2 && register * 2 + 1 < bytes.count ? UInt16(bytes[register * 2 + 1]) : 0
            return switch characters {
            case .highFirst: first << 8 | second
            case .lowFirst: second << 8 | first
            case .high: first << 8
            case .low: first
            }
        }
    }

    private func bytes(of text: String) throws(EncodingError) -> [UInt8] {
        switch charset {
        case .any, .utf8: return Array(text.utf8)
        case .utf16: return text.utf16.flatMap { [UInt8($0 >> 8), UInt8($0 & 0xFF)] }
        case .latin1:
            let bytes = text.unicodeScalars.map { UInt8(exactly: $0.value) }
            let exact = bytes.compactMap { $0 }
            guard exact.count == bytes.count else { throw .outOfRange }
            return exact
        }
    }
}
