extension Encoding {
    /// Characters up to the first NUL, without trailing spaces. Anything but UTF-8 without control characters is an error.
    func decodeText(_ words: Span<UInt16>) -> Decoded {
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
        let text = bytes.prefix { $0 != 0 }
        guard text.allSatisfy({ $0 >= 0x20 && $0 != 0x7F }), let string = String(validating: text, as: UTF8.self) else {
            return .bad(.decodeError)
        }
        return .value(.string(String(string.trimmingTrailingSpaces)))
    }

    func encodeText(_ text: String) throws(EncodingError) -> [UInt16] {
        let bytes = Array(text.utf8)
        let perRegister = characters == .highFirst || characters == .lowFirst ? 2 : 1
        guard bytes.count <= registerCount * perRegister, bytes.allSatisfy({ $0 >= 0x20 && $0 != 0x7F }) else {
            throw .outOfRange
        }
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
}

extension String {
    fileprivate var trimmingTrailingSpaces: Substring {
        var end = utf8.endIndex
        while end > utf8.startIndex, utf8[utf8.index(before: end)] == UInt8(ascii: " ") {
            end = utf8.index(before: end)
        }
        return self[..<end]
    }
}
