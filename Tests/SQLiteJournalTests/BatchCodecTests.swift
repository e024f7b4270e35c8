import Engine
import GatewayTesting
import Model
import Testing

@testable import SQLiteJournal

@Suite struct BatchCodecTests {
    @Test(arguments: 0..<400)
    func everyBatchComesBackAsItWas(seed: Int) throws {
        var random = SeededGenerator(UInt64(seed))
        let body = JournalEntry.Body.readings(Sample.batch(&random))
        #expect(try BatchCodec.decode(BatchCodec.encode(body)) == body)
    }

    @Test(arguments: GapReason.allCases)
    func everyGapComesBackAsItWas(reason: GapReason) throws {
        var random = SeededGenerator(UInt64(reason.rawValue))
        for _ in 0..<100 {
            let low = UInt64.random(in: 0...UInt64.max / 2, using: &random)
            let gap = GapRecord(
                device: Bool.random(using: &random) ? "chiller1" : nil,
                point: Bool.random(using: &random) ? "chiller1/supply" : nil,
                positions: Bool.random(using: &random) ? low...(low + random.next() % 1000) : nil,
                from: UnixTime(microseconds: Int64(bitPattern: random.next())),
                to: UnixTime(microseconds: Int64(bitPattern: random.next())), reason: reason, count: random.next())
            #expect(try BatchCodec.decode(BatchCodec.encode(.gap(gap))) == .gap(gap))
        }
    }

    @Test func hundredFloatsOfOnePollTakeLittleMoreThanFourBytesEach() {
        let bytes = BatchCodec.encode(Sample.floats(100, number: 1_000_000))
        #expect(bytes.count <= 430)
    }

    @Test func negativeZeroAndTheSmallestNumbersKeepEveryBit() throws {
        let values: [PointValue] = [
            .float(-0.0), .float(.leastNonzeroMagnitude), .double(-0.0), .double(.leastNonzeroMagnitude),
            .decimal(DecimalNumber(mantissa: 1200, exponent: -2)), .decimal(DecimalNumber(mantissa: 12, exponent: 0)),
        ]
        var batch = ReadingBatch(layout: 3)
        for value in values {
            batch.append(point: 1, time: UnixTime(microseconds: 1), value: value, reasons: [], number: 1)
        }
        guard case .readings(let back) = try BatchCodec.decode(BatchCodec.encode(.readings(batch))) else {
            Issue.record("readings came back as something else")
            return
        }
        for (value, stored) in zip(values, back.values) {
            switch (value, stored) {
            case (.float(let left), .float(let right)): #expect(left.bitPattern == right.bitPattern)
            case (.double(let left), .double(let right)): #expect(left.bitPattern == right.bitPattern)
            case (.decimal(let left), .decimal(let right)):
                #expect(left.mantissa == right.mantissa && left.exponent == right.exponent)
            default: Issue.record("\(value) came back as \(stored)")
            }
        }
    }

    @Test func everyCutIsAnErrorAndNotAnotherBatch() {
        var random = SeededGenerator(9)
        for _ in 0..<40 {
            let bytes = BatchCodec.encode(.readings(Sample.batch(&random)))
            for length in 0..<min(bytes.count, 600) {
                #expect(throws: ByteReader.Malformed.self) { try BatchCodec.decode(Array(bytes[..<length])) }
            }
            #expect(throws: ByteReader.Malformed.self) { try BatchCodec.decode(bytes + [0]) }
        }
    }

    @Test(arguments: 0..<8)
    func arbitraryBytesNeverCrash(seed: Int) {
        var random = SeededGenerator(UInt64(seed) << 32)
        for round in 0..<800 {
            var bytes: [UInt8]
            if round % 2 == 0 {
                bytes = BatchCodec.encode(.readings(Sample.batch(&random)))
                for _ in 0..<Int.random(in: 1...6, using: &random) {
                    bytes[Int.random(in: 0..<min(bytes.count, 80), using: &random)] = UInt8.random(
                        in: 0...255, using: &random)
                }
            } else {
                bytes = (0..<Int.random(in: 0..<60, using: &random)).map { _ in
                    UInt8.random(in: 0...255, using: &random)
                }
                if !bytes.isEmpty { bytes[0] = UInt8.random(in: 0...3, using: &random) }
            }
            guard case .readings(let batch)? = try? BatchCodec.decode(bytes) else { continue }
            // What is accepted is a batch of equal columns that can be stored again.
            #expect(batch.times.count == batch.count && batch.values.count == batch.count)
            #expect(batch.reasons.count == batch.count && batch.numbers.count == batch.count)
            #expect(batch.raw.allSatisfy { $0.reading < batch.count })
        }
    }

    @Test func arbitraryLayoutAndIntervalBytesNeverCrash() {
        var random = SeededGenerator(4)
        for _ in 0..<20_000 {
            let bytes = (0..<Int.random(in: 0..<40, using: &random)).map { _ in
                UInt8.random(in: 0...255, using: &random)
            }
            if let layout = try? DeviceLayout(encoded: bytes) { #expect(layout.entries.count <= bytes.count) }
            if let intervals = try? [PositionInterval](encoded: bytes) { #expect(intervals.count <= bytes.count) }
        }
    }

    @Test func layoutsAndIntervalsComeBackAsTheyWere() throws {
        let layout = DeviceLayout(
            device: "chiller1", labels: [Label(key: "site", value: "Köln")],
            entries: [
                .init(id: "chiller1/supply", definition: "9f2c41aa03be77d1", unit: "Cel"),
                .init(id: "chiller1/name", definition: "1b77c0de5599aa02", unit: nil),
            ])
        #expect(try DeviceLayout(encoded: layout.encoded) == layout)
        let intervals = [PositionInterval(low: 3, high: 9), PositionInterval(low: 12, high: nil)]
        #expect(try [PositionInterval](encoded: intervals.encoded) == intervals)
    }
}
