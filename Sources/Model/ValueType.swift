/// How registers hold a value (profile key `type`).
package enum ValueType: String, Sendable, CaseIterable {
    case bool, int8, uint8, int16, uint16, int32, uint32, int64, uint64
    /// The low 24 bits of two registers; the byte above them belongs to something else.
    case int24, uint24
    /// Three registers.
    case int48, uint48
    case float16, float32, float64
    /// Four or eight binary-coded decimal digits.
    case bcd16, bcd32
    /// Two to four registers of 0…9999 each, a base-10,000 number.
    case mod10k
    case string, datetime
    /// Sign bit and magnitude.
    case sm16, sm32
    /// Offset binary: 0x8000 (0x8000 0000) is zero.
    case offset16, offset32
    /// Mantissa × 10^exponent: a signed power of ten in the most significant byte, below it a mantissa of 24 bits, signed
    /// or not.
    case decade32, udecade32

    /// Registers that one value takes; nil where the profile says `count`.
    package var fixedRegisterCount: Int? {
        switch self {
        case .bool, .int8, .uint8, .int16, .uint16, .float16, .bcd16, .sm16, .offset16: 1
        case .int24, .uint24, .int32, .uint32, .float32, .bcd32, .sm32, .offset32, .decade32, .udecade32: 2
        case .int48, .uint48: 3
        case .int64, .uint64, .float64: 4
        case .mod10k, .string, .datetime: nil
        }
    }

    /// Whether `scale` and `offset` make sense.
    package var isNumeric: Bool {
        switch self {
        case .bool, .string, .datetime: false
        case .int8, .uint8, .int16, .uint16, .int24, .uint24, .int32, .uint32, .int48, .uint48, .int64, .uint64,
            .float16, .float32, .float64, .bcd16, .bcd32, .mod10k, .sm16, .sm32, .offset16, .offset32, .decade32,
            .udecade32:
            true
        }
    }

    package var isFloat: Bool {
        self == .float16 || self == .float32 || self == .float64
    }

    /// Whether each value has a power of ten of its own.
    package var isDecade: Bool { self == .decade32 || self == .udecade32 }

    /// The published type of an unscaled value.
    package var datatype: Datatype {
        switch self {
        case .bool: .bool
        case .int8, .int16, .sm16, .offset16: .int16
        case .uint8, .uint16, .bcd16: .uint16
        case .int24, .int32, .sm32, .offset32: .int32
        case .uint24, .uint32, .bcd32: .uint32
        case .int48, .int64: .int64
        case .uint48, .uint64, .mod10k: .uint64
        case .float16, .float32: .float32
        case .float64, .decade32, .udecade32: .float64
        case .string, .datetime: .string
        }
    }
}

/// The order of bytes in the registers of a value, by example: A is the most significant byte (profile key `order`).
package struct ByteOrder: Hashable, Sendable {
    /// The register with the lower address holds the less significant word.
    package var wordsAreSwapped: Bool
    /// Each register holds its less significant byte first.
    package var bytesAreSwapped: Bool

    package init(wordsAreSwapped: Bool = false, bytesAreSwapped: Bool = false) {
        self.wordsAreSwapped = wordsAreSwapped
        self.bytesAreSwapped = bytesAreSwapped
    }

    package static let bigEndian = ByteOrder()

    /// Nil for a name that is not one of ``names``.
    package init?(name: String) {
        switch name {
        case "AB", "ABCD", "ABCDEF", "ABCDEFGH": self.init()
        case "CDAB", "EFCDAB", "GHEFCDAB": self.init(wordsAreSwapped: true)
        case "BA", "BADC", "BADCFE", "BADCFEHG": self.init(bytesAreSwapped: true)
        case "DCBA", "FEDCBA", "HGFEDCBA": self.init(wordsAreSwapped: true, bytesAreSwapped: true)
        default: return nil
        }
    }

    package static let names = [
        "AB", "BA", "ABCD", "CDAB", "BADC", "DCBA", "ABCDEF", "EFCDAB", "BADCFE", "FEDCBA", "ABCDEFGH", "GHEFCDAB",
        "BADCFEHG", "HGFEDCBA",
    ]

    /// The names for values of so many registers, in the order of ``names``; empty where there is no choice.
    package static func names(registerCount: Int) -> [String] {
        names.filter { $0.utf8.count == registerCount * 2 }
    }

    /// The name for a value of so many registers.
    package func name(registerCount: Int) -> String {
        Self.names(registerCount: registerCount).first { ByteOrder(name: $0) == self } ?? name
    }

    /// The four-letter name.
    package var name: String {
        switch (wordsAreSwapped, bytesAreSwapped) {
        case (false, false): "ABCD"
        case (true, false): "CDAB"
        case (false, true): "BADC"
        case (true, true): "DCBA"
        }
    }

    /// The registers as one unsigned number, at most four of them.
    package func assemble(_ words: Span<UInt16>) -> UInt64 {
        var bits: UInt64 = 0
        let last = words.count - 1
        for index in words.indices {
            let word = words[wordsAreSwapped ? last - index : index]
            bits = bits << 16 | UInt64(bytesAreSwapped ? word.byteSwapped : word)
        }
        return bits
    }

    /// The inverse of ``assemble(_:)``.
    package func disassemble(_ bits: UInt64, registerCount: Int) -> [UInt16] {
        var words = (0..<registerCount).map { index -> UInt16 in
            let word = UInt16(truncatingIfNeeded: bits >> (16 * UInt64(registerCount - 1 - index)))
            return bytesAreSwapped ? word.byteSwapped : word
        }
        if wordsAreSwapped { words.reverse() }
        return words
    }
}

/// Where a character or a half-register value sits in a register (profile key `order` of `string`, `int8` and `uint8`).
package enum CharacterLayout: String, Sendable, CaseIterable {
    /// Two characters a register, first one in the high byte.
    case highFirst = "AB"
    /// Two characters a register, first one in the low byte.
    case lowFirst = "BA"
    /// One character a register, in the high byte.
    case high = "high"
    /// One character a register, in the low byte.
    case low = "low"
}

/// What the bytes of a text mean (profile key `charset`).
package enum TextCharset: String, Sendable, CaseIterable {
    /// UTF-8, of which ASCII is a part; bytes that are not UTF-8 are taken for Latin-1.
    case any
    case utf8
    /// ISO 8859-1.
    case latin1
    /// Two bytes a character, in the order of the registers.
    case utf16
}

/// How registers hold a date and time, always taken as UTC (profile key `layout`).
package enum DatetimeLayout: String, Sendable, CaseIterable {
    /// Two registers: seconds since 1970, in the point's byte order.
    case unix32
    /// Four registers: milliseconds since 1970, in the point's byte order.
    case unix64ms
    /// Six registers: year (two or four digits), month, day, hour, minute, second.
    case ymdhms
    /// Three registers of bytes: year since 2000 and month, day and hour, minute and second.
    case packed
    /// The same in binary-coded decimal: 0x2411 is November 2024.
    case packedBCD = "packed_bcd"
    /// Four registers in the manner of IEC 60870-5 CP56Time2a: year since 2000; month and day; hour and minute;
    /// milliseconds. Day of the week and the summer-time flag are left out of account; the flag "invalid" is not.
    case iec870
    /// One register: days since 2000-01-01.
    case days2000
    /// Two registers: seconds since 2000-01-01, in the point's byte order.
    case seconds2000

    package var registerCount: Int {
        switch self {
        case .days2000: 1
        case .unix32, .seconds2000: 2
        case .packed, .packedBCD: 3
        case .unix64ms, .iec870: 4
        case .ymdhms: 6
        }
    }

    /// Whether the registers are one number, which has a byte order; elsewhere each register has its own meaning.
    package var isNumber: Bool {
        switch self {
        case .unix32, .unix64ms, .days2000, .seconds2000: true
        case .ymdhms, .packed, .packedBCD, .iec870: false
        }
    }
}
