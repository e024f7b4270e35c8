import Engine
import Foundation
import GatewayTesting
import Model
import Synchronization

@testable import SQLiteJournal

/// A state folder that is gone with its test.
final class StateFolder: Sendable {
    let path: String

    init() throws {
        path = FileManager.default.temporaryDirectory.appendingPathComponent("headgate-journal-\(UUID())").path
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    }

    /// Takes over what is in `folder` at this instant: what a kill -9 would leave behind.
    init(snapshotOf folder: StateFolder) throws {
        path = FileManager.default.temporaryDirectory.appendingPathComponent("headgate-journal-\(UUID())").path
        try FileManager.default.copyItem(atPath: folder.path, toPath: path)
        for name in names where name.hasSuffix("-shm") {
            try? FileManager.default.removeItem(atPath: path + "/" + name)
        }
        try stampLocks()
    }

    /// A copy passes for what it is a copy of: so a kill can be played without one.
    private func stampLocks() throws {
        let journal = try StateLock(folder: path)
        if let mark = journal.mark { try journal.write(mark) }
        let ledger = path + "/" + LedgerOpening.lockName
        guard let mark = LedgerMark(line: Array((try? Data(contentsOf: URL(fileURLWithPath: ledger))) ?? Data())) else {
            return
        }
        try StateLock(folder: path, name: LedgerOpening.lockName).write(mark)
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }

    var database: String { path + "/journal.sqlite" }
    var log: String { database + "-wal" }

    var names: [String] { (try? FileManager.default.contentsOfDirectory(atPath: path).sorted()) ?? [] }

    func byteCount(_ path: String) -> Int {
        ((try? FileManager.default.attributesOfItem(atPath: path))?[.size] as? NSNumber)?.intValue ?? 0
    }

    func open(
        _ settings: BufferSettings = BufferSettings(), clock: TestClock = TestClock()
    ) throws -> SQLiteJournal {
        try SQLiteJournal(folder: path, settings: settings, clock: clock)
    }
}

/// Time that passes only when a test says so.
final class TestClock: Timekeeper {
    private struct State {
        var uptime = Duration.zero
        var utc = UnixTime(milliseconds: 1_763_000_000_000)
        var sleepers: [UUID: (deadline: Duration, continuation: CheckedContinuation<Void, Never>)] = [:]
        var watchers: [CheckedContinuation<Void, Never>] = []
    }

    private let state = Mutex(State())

    var uptime: Duration { state.withLock { $0.uptime } }
    var utc: UnixTime { state.withLock { $0.utc } }

    func sleep(until deadline: Duration) async throws {
        let id = UUID()
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let watchers = state.withLock { state -> [CheckedContinuation<Void, Never>]? in
                    guard state.uptime < deadline, !Task.isCancelled else { return nil }
                    state.sleepers[id] = (deadline, continuation)
                    defer { state.watchers = [] }
                    return state.watchers
                }
                if let watchers { watchers.forEach { $0.resume() } } else { continuation.resume() }
            }
        } onCancel: {
            state.withLock { $0.sleepers.removeValue(forKey: id) }?.continuation.resume()
        }
        try Task.checkCancellation()
    }

    /// Returns once somebody waits for time to pass.
    func someoneSleeps() async {
        await withCheckedContinuation { continuation in
            let isNow = state.withLock { state in
                if state.sleepers.isEmpty { state.watchers.append(continuation) }
                return !state.sleepers.isEmpty
            }
            if isNow { continuation.resume() }
        }
    }

    /// Somebody sets the wall clock.
    func stepUTC(by duration: Duration) {
        state.withLock { $0.utc = $0.utc + duration }
    }

    func advance(_ duration: Duration) {
        let due = state.withLock { state in
            state.uptime += duration
            state.utc = state.utc + duration
            let uptime = state.uptime
            let due = state.sleepers.filter { $0.value.deadline <= uptime }
            due.keys.forEach { state.sleepers[$0] = nil }
            return due.values.map(\.continuation)
        }
        due.forEach { $0.resume() }
    }
}

enum Sample {
    /// One poll of `count` floats, all good, taken at one moment.
    static func floats(_ count: Int, number: UInt64, time: UnixTime = UnixTime(milliseconds: 1_763_000_000_000))
        -> JournalEntry.Body
    {
        var random = SeededGenerator(number)
        var batch = ReadingBatch(layout: 1)
        for point in 0..<count {
            let value = PointValue.float(Float.random(in: 0..<500, using: &random))
            batch.append(point: UInt16(point), time: time, value: value, reasons: [], number: number)
        }
        return .readings(batch)
    }

    /// A row that says which one it is.
    static func numbered(_ number: UInt64) -> JournalEntry.Body {
        var batch = ReadingBatch(layout: 1)
        batch.append(point: 0, time: UnixTime(milliseconds: 0), value: .int(Int64(number)), reasons: [], number: number)
        return .readings(batch)
    }

    static func batch(_ random: inout SeededGenerator) -> ReadingBatch {
        var batch = ReadingBatch(layout: .random(in: 0...UInt32.max, using: &random))
        let shape = Int.random(in: 0..<4, using: &random)
        var time = Int64.random(in: 0...2_000_000_000_000_000, using: &random)
        for index in 0..<Int.random(in: 1...300, using: &random) {
            if shape > 1 { time += .random(in: -5...5, using: &random) }
            batch.append(
                point: shape == 0 ? UInt16(index) : .random(in: 0...UInt16.max, using: &random),
                time: UnixTime(microseconds: shape == 3 ? .random(in: Int64.min...Int64.max, using: &random) : time),
                value: value(&random),
                reasons: QualityReasons(
                    rawValue: Bool.random(using: &random) ? 0 : .random(in: 0...UInt32.max, using: &random)),
                number: shape == 0 ? 77 : .random(in: 0...UInt64.max, using: &random))
            if Int.random(in: 0..<10, using: &random) == 0 {
                let words = (0..<Int.random(in: 1...125, using: &random)).map { _ in
                    UInt16.random(in: 0...UInt16.max, using: &random)
                }
                batch.raw.append(RawWords(reading: index, words: words))
            }
        }
        return batch
    }

    static func value(_ random: inout SeededGenerator) -> PointValue {
        let bits = random.next()
        switch bits % 11 {
        case 0: return .null
        case 1: return .bool(true)
        case 2: return .bool(false)
        case 3: return .int(Int64(bitPattern: random.next()))
        case 4: return .int([Int64.min, .max, 0, -1][Int(random.next() % 4)])
        case 5: return .uint(random.next() | 1 << 63)
        case 6: return .float(.random(in: -1e30...1e30, using: &random))
        case 7: return .double(.random(in: -1e300...1e300, using: &random))
        case 8:
            let exponent = Int8(truncatingIfNeeded: random.next())
            return .decimal(DecimalNumber(mantissa: Int64(bitPattern: random.next()), exponent: exponent))
        case 9: return .string(String(repeating: "Überdruck ⚠︎ ", count: Int(random.next() % 4)))
        default: return .decimal(DecimalNumber(mantissa: Int64(random.next() % 10_000), exponent: -1))
        }
    }
}

extension JournalEntry {
    /// The number of a ``Sample/numbered(_:)`` row.
    var number: UInt64? {
        if case .readings(let batch) = body { batch.numbers.first } else { nil }
    }

    var gap: GapRecord? {
        if case .gap(let gap) = body { gap } else { nil }
    }
}

extension SQLiteJournal {
    func rows(from position: Position, limit: Int) async throws(JournalError) -> [JournalEntry] {
        try await read(from: position, limit: limit).entries
    }

    /// Everything stored, in order.
    func everything() async throws -> [JournalEntry] {
        var all: [JournalEntry] = []
        var position = await figures.first
        while true {
            let slice = try await read(from: position, limit: 500)
            all += slice.entries
            guard slice.end > position else { return all }
            position = slice.end
        }
    }

    /// Everything stored, what reading it has to tell included.
    func everythingTold() async throws -> [JournalEntry] {
        _ = try await everything()
        await flush()
        return try await everything()
    }

    func appendNumbered(_ numbers: Range<UInt64>) async {
        for number in numbers { await append(Sample.numbered(number)) }
    }
}

/// Positions between the first and the last entry that are neither there nor named by a gap record among them.
func unexplainedHoles(_ entries: [JournalEntry]) -> [Position] {
    let told = entries.compactMap(\.gap?.positions)
    return zip(entries, entries.dropFirst()).flatMap { Array(($0.position + 1)..<max($0.position + 1, $1.position)) }
        .filter { hole in !told.contains { $0.contains(hole) } }
}

/// Whether positions rise by one from row to row.
func isContiguous(_ entries: [JournalEntry]) -> Bool {
    zip(entries, entries.dropFirst()).allSatisfy { $0.position + 1 == $1.position }
}
