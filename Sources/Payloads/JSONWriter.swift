package import Model

/// Appends JSON (RFC 8259) to a byte array: what the hot path needs and nothing more. Commas are set by itself; NaN and
/// infinity cannot be written.
package struct JSONWriter: Sendable {
    package private(set) var bytes: [UInt8] = []
    private var needsComma = false

    package init(capacity: Int = 256) {
        bytes.reserveCapacity(capacity)
    }

    package mutating func object(_ body: (inout JSONWriter) -> Void) {
        open(UInt8(ascii: "{"))
        body(&self)
        close(UInt8(ascii: "}"))
    }

    package mutating func array(_ body: (inout JSONWriter) -> Void) {
        open(UInt8(ascii: "["))
        body(&self)
        close(UInt8(ascii: "]"))
    }

    package mutating func key(_ name: String) {
        separate()
        appendQuoted(name)
        bytes.append(UInt8(ascii: ":"))
        needsComma = false
    }

    package mutating func string(_ text: String) {
        separate()
        appendQuoted(text)
        needsComma = true
    }

    package mutating func integer(_ number: some BinaryInteger) {
        separate()
        appendInteger(number)
        needsComma = true
    }

    package mutating func bool(_ value: Bool) {
        raw(value ? "true" : "false")
    }

    package mutating func null() {
        raw("null")
    }

    package mutating func time(_ time: UnixTime) {
        separate()
        bytes.append(UInt8(ascii: "\""))
        time.appendRFC3339(to: &bytes)
        bytes.append(UInt8(ascii: "\""))
        needsComma = true
    }

    /// A number in the shortest form that reads back as the same double; `230.0` as `230`. Not finite: null.
    package mutating func number(_ value: Double) {
        separate()
        appendDouble(value)
        needsComma = true
    }

    /// A value of a reading (`reading/1`, field `value`): integers beyond ±(2^53−1) as decimal strings.
    package mutating func value(_ value: PointValue) {
        separate()
        switch value {
        case .null: bytes.append(contentsOf: "null".utf8)
        case .bool(let isOn): bytes.append(contentsOf: (isOn ? "true" : "false").utf8)
        case .int(let integer): appendExact(integer)
        case .uint(let integer): appendQuoted(String(integer))
        case .float(let float): appendFloat(float)
        case .double(let double): appendDouble(double)
        case .decimal(let decimal): decimal.appendText(to: &bytes)
        case .string(let text): appendQuoted(text)
        }
        needsComma = true
    }

    /// JSON text that was made before.
    package mutating func raw(_ text: some Sequence<UInt8>) {
        separate()
        bytes.append(contentsOf: text)
        needsComma = true
    }

    package mutating func raw(_ text: StaticString) {
        separate()
        text.withUTF8Buffer { bytes.append(contentsOf: $0) }
        needsComma = true
    }

    // MARK: - Pieces, for text that is put together from constant parts; they set no comma

    mutating func continueRaw(_ text: some Collection<UInt8>) {
        bytes.append(contentsOf: text)
    }

    mutating func continueRaw(_ text: StaticString) {
        text.withUTF8Buffer { bytes.append(contentsOf: $0) }
    }

    mutating func continueValue(_ value: PointValue) {
        needsComma = false
        self.value(value)
    }

    mutating func continueInteger(_ number: UInt64) {
        bytes.appendDecimal(number)
    }

    /// After a head that opened an array: its first element needs no comma.
    mutating func endHead() {
        needsComma = false
    }

    /// Closes the array that the head opened.
    mutating func endReadings() {
        close(UInt8(ascii: "]"))
    }

    private mutating func open(_ bracket: UInt8) {
        separate()
        bytes.append(bracket)
        needsComma = false
    }

    private mutating func close(_ bracket: UInt8) {
        bytes.append(bracket)
        needsComma = true
    }

    private mutating func separate() {
        if needsComma { bytes.append(UInt8(ascii: ",")) }
    }
}

extension JSONWriter {
    /// Integers that a double holds exactly are numbers, larger ones decimal strings.
    private static let exactLimit: UInt64 = (1 << 53) - 1

    private mutating func appendExact(_ integer: Int64) {
        if integer.magnitude <= Self.exactLimit { appendInteger(integer) } else { appendQuoted(String(integer)) }
    }

    private mutating func appendInteger(_ number: some BinaryInteger) {
        if let small = Int(exactly: number), small >= 0 {
            bytes.appendDecimal(UInt64(small))
        } else {
            bytes.append(contentsOf: String(number).utf8)
        }
    }

    private mutating func appendFloat(_ value: Float) {
        guard value.isFinite else { return bytes.append(contentsOf: "null".utf8) }
        bytes.appendTrimmed(value.description)
    }

    private mutating func appendDouble(_ value: Double) {
        guard value.isFinite else { return bytes.append(contentsOf: "null".utf8) }
        bytes.appendTrimmed(value.description)
    }

    private mutating func appendQuoted(_ text: String) {
        bytes.append(UInt8(ascii: "\""))
        for byte in text.utf8 {
            switch byte {
            case UInt8(ascii: "\""), UInt8(ascii: "\\"): bytes.append(contentsOf: [UInt8(ascii: "\\"), byte])
            case 0x0A: bytes.append(contentsOf: "\\n".utf8)
            case 0x00..<0x20:
                bytes.append(contentsOf: "\\u00".utf8 + [Self.hex[Int(byte >> 4)], Self.hex[Int(byte & 15)]])
            default: bytes.append(byte)
            }
        }
        bytes.append(UInt8(ascii: "\""))
    }

    static let hex = Array("0123456789abcdef".utf8)
}

extension [UInt8] {
    /// Appends a floating-point description without a trailing `.0`, which JSON does not need.
    fileprivate mutating func appendTrimmed(_ text: String) {
        append(contentsOf: text.utf8)
        if count >= 2, self[count - 1] == UInt8(ascii: "0"), self[count - 2] == UInt8(ascii: ".") { removeLast(2) }
    }

    /// Appends `number` in decimal.
    mutating func appendDecimal(_ number: UInt64) {
        var rest = number
        let start = count
        repeat {
            append(UInt8(ascii: "0") + UInt8(rest % 10))
            rest /= 10
        } while rest > 0
        // In place: a slice would count references.
        var (low, high) = (start, count - 1)
        while low < high {
            swapAt(low, high)
            (low, high) = (low + 1, high - 1)
        }
    }
}
