import Engine
import Model

/// The bodies of journal rows: batches as columns with run lengths, so that a float reading takes little more than its four
/// bytes. The first byte names the format; formats are never changed, only added.
enum BatchCodec {
    private static let readingsFormat: UInt8 = 1
    static let gapFormat: UInt8 = 2
    /// Readings that one batch may hold.
    static let readingLimit = 65_535

    static func encode(_ body: JournalEntry.Body) -> [UInt8] {
        var writer = ByteWriter()
        switch body {
        case .readings(let batch):
            writer.bytes.reserveCapacity(32 + batch.count * 5)
            writer.bytes.append(readingsFormat)
            writer.readings(batch)
        case .gap(let gap):
            writer.bytes.append(gapFormat)
            writer.gap(gap)
        }
        return writer.bytes
    }

    static func decode(_ bytes: [UInt8]) throws(ByteReader.Malformed) -> JournalEntry.Body {
        var reader = ByteReader(bytes)
        switch try reader.byte() {
        case readingsFormat: return .readings(try reader.readings())
        case gapFormat: return .gap(try reader.gap())
        default: throw ByteReader.Malformed()
        }
    }
}

extension ByteWriter {
    fileprivate mutating func readings(_ batch: ReadingBatch) {
        varint(UInt64(batch.layout))
        varint(UInt64(batch.count))
        var time: Int64 = 0
        runs(of: batch.times) { writer, moment in
            writer.zigzag(moment.microseconds &- time)
            time = moment.microseconds
        }
        points(batch.points)
        var number: Int64 = 0
        runs(of: batch.numbers) { writer, next in
            writer.zigzag(Int64(bitPattern: next) &- number)
            number = Int64(bitPattern: next)
        }
        runs(of: batch.reasons) { $0.varint(UInt64($1.rawValue)) }
        values(batch.values)
        varint(UInt64(batch.raw.count))
        for raw in batch.raw {
            varint(UInt64(raw.reading))
            varint(UInt64(raw.words.count))
            raw.words.forEach { fixed($0) }
        }
    }

    /// Runs of equal elements: length, then the element.
    private mutating func runs<Element: Equatable>(
        of elements: [Element], _ write: (inout ByteWriter, Element) -> Void
    ) {
        var start = 0
        while start < elements.count {
            var end = start + 1
            while end < elements.count, elements[end] == elements[start] { end += 1 }
            varint(UInt64(end - start))
            write(&self, elements[start])
            start = end
        }
    }

    /// Runs of consecutive point indexes: length, then the step from where the last run ended.
    private mutating func points(_ points: [UInt16]) {
        var expected = 0
        var start = 0
        while start < points.count {
            var end = start + 1
            while end < points.count, Int(points[end]) == Int(points[end - 1]) + 1 { end += 1 }
            varint(UInt64(end - start))
            zigzag(Int64(points[start]) - Int64(expected))
            expected = Int(points[end - 1]) + 1
            start = end
        }
    }

    private mutating func values(_ values: [PointValue]) {
        var start = 0
        while start < values.count {
            let form = ValueForm(values[start])
            var end = start + 1
            while end < values.count, ValueForm(values[end]) == form { end += 1 }
            varint(UInt64(end - start))
            bytes.append(form.tag)
            if case .decimal(let exponent) = form { bytes.append(UInt8(bitPattern: exponent)) }
            for index in start..<end { value(values[index]) }
            start = end
        }
    }

    private mutating func value(_ value: PointValue) {
        switch value {
        case .null, .bool: break
        case .int(let integer): zigzag(integer)
        case .uint(let integer): varint(integer)
        case .float(let float): fixed(float.bitPattern)
        case .double(let double): fixed(double.bitPattern)
        case .decimal(let decimal): zigzag(decimal.mantissa)
        case .string(let string): text(string)
        }
    }

    fileprivate mutating func gap(_ gap: GapRecord) {
        bytes.append(gap.reason.rawValue)
        optional(gap.device)
        optional(gap.point)
        varint(gap.positions?.lowerBound ?? 0)
        varint(gap.positions.map { $0.upperBound - $0.lowerBound + 1 } ?? 0)
        zigzag(gap.from.microseconds)
        zigzag(gap.to.microseconds)
        varint(gap.count)
    }
}

/// How a run of values is stored. True and false have a form each, so that they take no bytes of their own.
private enum ValueForm: Equatable {
    case null, no, yes, int, uint, float, double, string
    case decimal(exponent: Int8)

    init(_ value: PointValue) {
        switch value {
        case .null: self = .null
        case .bool(let isOn): self = isOn ? .yes : .no
        case .int: self = .int
        case .uint: self = .uint
        case .float: self = .float
        case .double: self = .double
        case .decimal(let decimal): self = .decimal(exponent: decimal.exponent)
        case .string: self = .string
        }
    }

    /// Stored in the journal: never renumber.
    var tag: UInt8 {
        switch self {
        case .null: 0
        case .no: 1
        case .yes: 2
        case .int: 3
        case .uint: 4
        case .float: 5
        case .double: 6
        case .string: 7
        case .decimal: 8
        }
    }
}

extension ByteReader {
    fileprivate mutating func readings() throws(Malformed) -> ReadingBatch {
        let layout = try count(limit: Int(UInt32.max))
        var batch = ReadingBatch(layout: LayoutID(layout))
        let count = try count(limit: BatchCodec.readingLimit)
        batch.reserveCapacity(count)
        try readTimes(into: &batch, count)
        try readPoints(into: &batch, count)
        try readNumbers(into: &batch, count)
        while batch.reasons.count < count {
            let length = try runLength(count - batch.reasons.count)
            let reasons = QualityReasons(rawValue: UInt32(try self.count(limit: Int(UInt32.max))))
            batch.reasons.append(contentsOf: repeatElement(reasons, count: length))
        }
        while batch.values.count < count { try readValues(into: &batch, count) }
        try readRawWords(into: &batch)
        guard isAtEnd else { throw Malformed() }
        return batch
    }

    private mutating func runLength(_ limit: Int) throws(Malformed) -> Int {
        let length = try count(limit: limit)
        guard length > 0 else { throw Malformed() }
        return length
    }

    private mutating func readTimes(into batch: inout ReadingBatch, _ count: Int) throws(Malformed) {
        var time: Int64 = 0
        while batch.times.count < count {
            let length = try runLength(count - batch.times.count)
            time &+= try zigzag()
            batch.times.append(contentsOf: repeatElement(UnixTime(microseconds: time), count: length))
        }
    }

    private mutating func readPoints(into batch: inout ReadingBatch, _ count: Int) throws(Malformed) {
        var next: Int64 = 0
        while batch.points.count < count {
            let length = try runLength(count - batch.points.count)
            next &+= try zigzag()
            for _ in 0..<length {
                guard let point = UInt16(exactly: next) else { throw Malformed() }
                batch.points.append(point)
                next += 1
            }
        }
    }

    private mutating func readNumbers(into batch: inout ReadingBatch, _ count: Int) throws(Malformed) {
        var number: Int64 = 0
        while batch.numbers.count < count {
            let length = try runLength(count - batch.numbers.count)
            number &+= try zigzag()
            batch.numbers.append(contentsOf: repeatElement(UInt64(bitPattern: number), count: length))
        }
    }

    private mutating func readValues(into batch: inout ReadingBatch, _ count: Int) throws(Malformed) {
        let length = try runLength(count - batch.values.count)
        let tag = try byte()
        let exponent = tag == 8 ? Int8(bitPattern: try byte()) : 0
        for _ in 0..<length { batch.values.append(try value(tag, exponent)) }
    }

    private mutating func value(_ tag: UInt8, _ exponent: Int8) throws(Malformed) -> PointValue {
        switch tag {
        case 0: return .null
        case 1: return .bool(false)
        case 2: return .bool(true)
        case 3: return .int(try zigzag())
        case 4: return .uint(try varint())
        case 5: return .float(Float(bitPattern: try fixed(UInt32.self)))
        case 6: return .double(Double(bitPattern: try fixed(UInt64.self)))
        case 7: return .string(try text())
        case 8: return .decimal(DecimalNumber(mantissa: try zigzag(), exponent: exponent))
        default: throw Malformed()
        }
    }

    private mutating func readRawWords(into batch: inout ReadingBatch) throws(Malformed) {
        let runs = try count(limit: batch.count)
        for _ in 0..<runs {
            let reading = try count(limit: max(0, batch.count - 1))
            let length = try count(limit: min(125, remaining / 2))
            var words: [UInt16] = []
            for _ in 0..<length { words.append(try fixed(UInt16.self)) }
            batch.raw.append(RawWords(reading: reading, words: words))
        }
    }

    fileprivate mutating func gap() throws(Malformed) -> GapRecord {
        guard let reason = GapReason(rawValue: try byte()) else { throw Malformed() }
        let device = try text()
        let point = try text()
        let first = try varint()
        let size = try varint()
        guard size == 0 || first <= UInt64.max - size else { throw Malformed() }
        return GapRecord(
            device: device.isEmpty ? nil : device, point: point.isEmpty ? nil : point,
            positions: size == 0 ? nil : first...(first + size - 1), from: UnixTime(microseconds: try zigzag()),
            to: UnixTime(microseconds: try zigzag()), reason: reason, count: try varint())
    }
}
