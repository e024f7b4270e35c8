extension Encoding {
    /// A date and time as an RFC 3339 text in UTC; a date that the calendar does not have is a decoding error.
    func decodeDatetime(_ words: Span<UInt16>) -> Decoded {
        if !sentinels.isEmpty, words.count <= 4, sentinels.contains(order.assemble(words)) {
            return .bad(sentinelReason)
        }
        guard let time = datetime(words) else { return .bad(.decodeError) }
        return .value(.string(time.rfc3339))
    }

    private func datetime(_ words: Span<UInt16>) -> UnixTime? {
        switch datetime {
        case .unix32: return UnixTime(microseconds: Int64(order.assemble(words)) * 1_000_000)
        case .unix64ms:
            let milliseconds = order.assemble(words)
            return milliseconds < 253_402_300_800_000 ? UnixTime(milliseconds: Int64(milliseconds)) : nil
        case .ymdhms:
            let year = Int(words[0])
            return civil(year < 100 ? 2000 + year : year, words[1], words[2], words[3], words[4], words[5])
        case .packed:
            return civil(
                2000 + Int(words[0] >> 8), words[0] & 0xFF, words[1] >> 8, words[1] & 0xFF, words[2] >> 8,
                words[2] & 0xFF)
        case .packedBCD:
            let digits = (0..<3).flatMap { [words[$0] >> 8, words[$0] & 0xFF] }.compactMap(Self.number(ofBCD:))
            guard digits.count == 6 else { return nil }
            return civil(2000 + Int(digits[0]), digits[1], digits[2], digits[3], digits[4], digits[5])
        case .days2000: return Self.year2000 + .seconds(Int64(order.assemble(words)) * 86_400)
        case .seconds2000: return Self.year2000 + .seconds(Int64(order.assemble(words)))
        case .iec870:
            // The device says itself that its clock was never set or has stopped.
            if words[2] & 0x80 != 0 { return nil }
            let milliseconds = words[3]
            let minute = words[2] & 0x3F
            let time = civil(
                2000 + Int(words[0] & 0x7F), words[1] >> 8 & 0x0F, words[1] & 0x1F, words[2] >> 8 & 0x1F, minute,
                milliseconds / 1000)
            return time.map { $0 + .milliseconds(Int64(milliseconds % 1000)) }
        }
    }

    private static let year2000 = UnixTime(
        CivilTime(year: 2000, month: 1, day: 1, hour: 0, minute: 0, second: 0))

    /// The number of a byte with two decimal digits, nil where one is above 9.
    private static func number(ofBCD byte: UInt16) -> UInt16? {
        byte >> 4 <= 9 && byte & 0xF <= 9 ? (byte >> 4) * 10 + (byte & 0xF) : nil
    }

    private static func bcd(_ number: UInt16) -> UInt16 {
        (number / 10) << 4 | (number % 10)
    }

    private func civil(
        _ year: Int, _ month: UInt16, _ day: UInt16, _ hour: UInt16, _ minute: UInt16, _ second: UInt16
    ) -> UnixTime? {
        let time = CivilTime(
            year: year, month: Int(month), day: Int(day), hour: Int(hour), minute: Int(minute), second: Int(second))
        return time.isValid ? UnixTime(time) : nil
    }

    func encodeDatetime(_ time: UnixTime) throws(EncodingError) -> [UInt16] {
        let civil = time.civil
        let (month, day, hour) = (UInt16(civil.month), UInt16(civil.day), UInt16(civil.hour))
        let (minute, second) = (UInt16(civil.minute), UInt16(civil.second))
        let milliseconds = time.microseconds / 1000
        switch datetime {
        case .unix32:
            guard let seconds = UInt32(exactly: milliseconds / 1000) else { throw .outOfRange }
            return order.disassemble(UInt64(seconds), registerCount: 2)
        case .unix64ms:
            guard milliseconds >= 0 else { throw .outOfRange }
            return order.disassemble(UInt64(milliseconds), registerCount: 4)
        case .ymdhms:
            guard (1...9999).contains(civil.year) else { throw .outOfRange }
            return [UInt16(civil.year), month, day, hour, minute, second]
        case .packed:
            guard (2000...2255).contains(civil.year) else { throw .outOfRange }
            return [UInt16(civil.year - 2000) << 8 | month, day << 8 | hour, minute << 8 | second]
        case .packedBCD:
            guard (2000...2099).contains(civil.year) else { throw .outOfRange }
            let pairs = [(UInt16(civil.year - 2000), month), (day, hour), (minute, second)]
            return pairs.map { Self.bcd($0) << 8 | Self.bcd($1) }
        case .days2000:
            let days = (time - Self.year2000).components.seconds
            guard days >= 0, let count = UInt16(exactly: days / 86_400) else { throw .outOfRange }
            return order.disassemble(UInt64(count), registerCount: 1)
        case .seconds2000:
            let seconds = (time - Self.year2000).components.seconds
            guard let count = UInt32(exactly: seconds) else { throw .outOfRange }
            return order.disassemble(UInt64(count), registerCount: 2)
        case .iec870:
            guard (2000...2127).contains(civil.year) else { throw .outOfRange }
            let fraction = UInt16(milliseconds % 1000)
            return [UInt16(civil.year - 2000), month << 8 | day, hour << 8 | minute, second * 1000 + fraction]
        }
    }
}
