import Model

/// A record of the ledger that cannot be read: the member that is wrong.
struct RecordError: Error, Hashable {
    var member: String

    init(_ member: String) {
        self.member = member
    }
}

extension JSONValue {
    /// A moment to the microsecond, as records keep it; null for nil. One behind the year 9999 is stored as the end of it.
    static func stored(_ time: UnixTime?) -> JSONValue {
        time.map { .integer($0.inCalendar.microseconds) } ?? .null
    }

    static func microseconds(_ duration: Duration?) -> JSONValue {
        duration.map { .integer(Int64(clamping: ($0.inSeconds * 1e6).rounded())) } ?? .null
    }

    func duration(_ key: String) -> Duration? {
        self[key]?.integer(in: -Duration.longest.microseconds...Duration.longest.microseconds).map { .microseconds($0) }
    }

    /// A value as records keep it: what JSON has no exact number for comes back as what it was.
    static func stored(_ value: PointValue?) -> JSONValue {
        if case .uint(let large)? = value { return .compact([("uint64", .string(large.description))]) }
        return .value(value)
    }

    func storedValue(_ key: String) -> PointValue? {
        guard let digits = self[key]?["uint64"]?.text else { return self[key]?.pointValue }
        return UInt64(digits, in: 0 ... .max).map { PointValue(unsigned: $0) }
    }

    static func texts(_ texts: [String]) -> JSONValue {
        texts.isEmpty ? .null : .array(texts.map { .string($0) })
    }

    static func hex(_ bytes: [UInt8]) -> JSONValue { .string(DocumentDigest.hex(bytes)) }

    func time(_ key: String) -> UnixTime? {
        self[key]?.integer(in: Int64.min...Int64.max).map { UnixTime(microseconds: $0).inCalendar }
    }

    func requiredText(_ key: String) throws(RecordError) -> String {
        guard let text = self[key]?.text else { throw RecordError(key) }
        return text
    }

    func requiredTime(_ key: String) throws(RecordError) -> UnixTime {
        guard let time = time(key) else { throw RecordError(key) }
        return time
    }

    func requiredCount(_ key: String) throws(RecordError) -> UInt64 {
        guard let count = self[key]?.integer(in: 0...UInt64(Int64.max)) else { throw RecordError(key) }
        return count
    }

    func requiredHex(_ key: String) throws(RecordError) -> [UInt8] {
        guard let member = self[key] else { throw RecordError(key) }
        return try member.hexBytes(key)
    }

    /// The bytes that a text in hexadecimal digits stands for.
    func hexBytes(_ name: String) throws(RecordError) -> [UInt8] {
        guard let digits = text?.compactMap(\.hexDigitValue), digits.count % 2 == 0 else { throw RecordError(name) }
        return stride(from: 0, to: digits.count, by: 2).map { UInt8(digits[$0] << 4 | digits[$0 + 1]) }
    }
}

extension JSONValue {
    /// Reads the body of a record.
    init(body record: LedgerRecord) throws(LedgerError) {
        do { self = try JSONValue(parsing: record.body ?? []) } catch {
            throw .unusable("the record \(record.kind) \(record.key) is damaged (\(error)); restore the ledger")
        }
    }
}
