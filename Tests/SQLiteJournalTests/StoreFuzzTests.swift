import Audit
import Engine
import Foundation
import GRDB
import GatewayTesting
import Model
import Testing

@testable import SQLiteJournal

/// Files of a state folder with flipped, lost, doubled and foreign bytes: a start goes on or says why not, and invents nothing.
/// `make fuzz` tries some thousand.
@Suite(.serialized) struct StoreFuzzTests {
    private static let isLong = ProcessInfo.processInfo.environment["HEADGATE_LONG_TESTS"] != nil
    private static let rounds = isLong ? 4000 : 40

    /// Changes one of the `names` of a folder in one of the ways in which disks and people do.
    private func mutate(_ folder: StateFolder, _ names: [String], _ random: inout SeededGenerator) throws -> String {
        let names = names.filter { folder.byteCount(folder.path + "/" + $0) > 0 }
        guard let name = names.randomElement(using: &random) else { return "nothing" }
        let path = folder.path + "/" + name
        var bytes = [UInt8](try Data(contentsOf: URL(fileURLWithPath: path)))
        let offset = Int.random(in: 0..<bytes.count, using: &random)
        let (page, pages) = (offset / 4096, max(1, bytes.count / 4096))
        let way = Int.random(in: 0..<7, using: &random)
        switch way {
        case 0: bytes[offset] ^= 1 << UInt8.random(in: 0..<8, using: &random)
        case 1:
            for index in offset..<min(bytes.count, offset + Int.random(in: 1...600, using: &random)) {
                bytes[index] = UInt8.random(in: 0...255, using: &random)
            }
        case 2: bytes.removeLast(bytes.count - offset)
        case 3: for index in (page * 4096)..<min(bytes.count, page * 4096 + 4096) { bytes[index] = 0 }
        case 4:
            let other = Int.random(in: 0..<pages, using: &random)
            for index in 0..<4096 where max(page, other) * 4096 + index < bytes.count {
                bytes[page * 4096 + index] = bytes[other * 4096 + index]
            }
        case 5: bytes += (0..<Int.random(in: 1...9000, using: &random)).map { _ in UInt8(offset & 0xFF) }
        default:
            try FileManager.default.removeItem(atPath: path)
            return "\(name) removed"
        }
        try Data(bytes).write(to: URL(fileURLWithPath: path))
        return "\(name) way \(way) at \(offset)"
    }

    /// A copy of a folder with one to three changes, which ones, and what a failure says of it.
    private func mutated(
        _ kept: StateFolder, _ names: [String], seed: Int, closed: Bool
    ) throws -> (victim: StateFolder, ways: [String], story: Comment) {
        var random = SeededGenerator(UInt64(seed * 2 + (closed ? 1 : 0)))
        let victim = try StateFolder(snapshotOf: kept)
        var ways: [String] = []
        for _ in 0..<Int.random(in: 1...3, using: &random) { ways.append(try mutate(victim, names, &random)) }
        return (victim, ways, Comment(rawValue: "seed \(seed), closed \(closed): \(ways)"))
    }

    @Test func mutatedJournalFilesNeverStopAStartNorInventAReading() async throws {
        let folder = try StateFolder()
        let journal = try folder.open()
        for number in 0..<120 as Range<UInt64> { await journal.append(Sample.floats(40, number: number)) }
        await journal.flush()
        await journal.save([PositionInterval(low: 10, high: nil)], for: "plant")
        for number in 120..<150 as Range<UInt64> { await journal.append(Sample.floats(40, number: number)) }
        await journal.flush()
        let given = await journal.next
        let whole = Dictionary(uniqueKeysWithValues: try await journal.everything().map { ($0.position, $0.body) })
        for closed in [false, true] {
            if closed { await journal.close() }
            let kept = try StateFolder(snapshotOf: folder)
            for seed in 0..<Self.rounds / 2 {
                let (victim, ways, story) = try mutated(
                    kept, ["journal.sqlite", "journal.sqlite-wal", "journal.lock"], seed: seed, closed: closed)
                try await judge(victim, whole, given, isMarked: !ways.contains { $0.hasPrefix("journal.lock") }, story)
                await Task.yield()
            }
        }
    }

    private func judge(
        _ victim: StateFolder, _ whole: [Position: JournalEntry.Body], _ given: Position, isMarked: Bool,
        _ story: Comment
    ) async throws {
        let next: SQLiteJournal
        do {
            next = try victim.open()
        } catch JournalError.unusable(let why) {
            #expect(why.contains("format") || why.contains("used up"), story)
            return
        }
        for row in try await next.everythingTold() where row.epoch == 1 {
            guard case .readings = row.body else { continue }
            #expect(whole[row.position] == row.body, story)
        }
        let rows = try await next.everything()
        #expect(unexplainedHoles(rows).isEmpty, story)
        if isMarked {
            #expect(rows.allSatisfy { $0.position < given || $0.epoch > 1 }, story)
            #expect(rows.allSatisfy { $0.position >= given || whole[$0.position] != nil }, story)
        }
        await next.append(Sample.numbered(7))
        await next.flush()
        #expect(await next.figures.fault == nil, story)
        await next.close()
    }

    @Test func mutatedLedgerFilesAreRefusedOrHaveAllTheirRecords() async throws {
        let folder = try StateFolder()
        let signer = try NoteSigner(name: "headgate/v1/gw-07/audit")
        let ledger = try folder.openLedger()
        for number in 0..<60 { try await ledger.step(number) }
        _ = try await ledger.checkpoint(signedBy: signer)
        for number in 60..<80 { try await ledger.step(number) }
        let (records, size) = (try await ledger.records("command"), ledger.figures.size)
        for closed in [false, true] {
            if closed { await ledger.close() }
            let kept = try StateFolder(snapshotOf: folder)
            for seed in 0..<Self.rounds / 2 {
                let (victim, ways, story) = try mutated(
                    kept, ["ledger.sqlite", "ledger.sqlite-wal", "ledger.lock"], seed: seed, closed: closed)
                _ = try? victim.audit(signer)
                guard let next = try? victim.openLedger() else { continue }
                if next.figures.size > 0 {
                    #expect(next.figures.size == size, story)
                    #expect(try await next.records("command") == records, story)
                } else {
                    // Nothing is left of it that could be taken for it: another ledger.
                    #expect(ways.contains { $0.hasPrefix("ledger.lock") }, story)
                }
                _ = try? await next.step(99)
                await next.close()
                await Task.yield()
            }
        }
    }
}
