import Engine
import Foundation
import GRDB
import GatewayTesting
import Model
import Synchronization
import Testing

@testable import SQLiteJournal

@Suite(.serialized) struct DamageTests {
    /// A closed journal of 400 rows of some 440 bytes, and the owed interval of one publisher.
    private func closedJournal() async throws -> StateFolder {
        let folder = try StateFolder()
        let journal = try folder.open()
        for number in 0..<400 as Range<UInt64> { await journal.append(Sample.floats(100, number: number)) }
        await journal.save([PositionInterval(low: 10, high: nil)], for: "plant")
        await journal.close()
        return folder
    }

    private func overwrite(_ path: String, at offset: Int, with bytes: [UInt8]) throws {
        let file = try FileHandle(forWritingTo: URL(fileURLWithPath: path))
        try file.seek(toOffset: UInt64(offset))
        try file.write(contentsOf: bytes)
        try file.close()
    }

    @Test(arguments: ["", "this is not a database, and it is long enough to be looked at as one by whoever opens it"])
    func aFileThatIsNoDatabaseIsSetAsideAndTheStartGoesOn(content: String) async throws {
        let folder = try await closedJournal()
        try Data(content.utf8).write(to: URL(fileURLWithPath: folder.database))
        let journal = try folder.open()
        #expect(journal.epoch == 2)
        let first = try #require(try await journal.everything().first)
        #expect(first.position == 401, "the mark knows that 400 positions were given away")
        #expect(first.gap?.reason == .diskError && first.gap?.positions == 1...400)
        #expect(journal.openingNotes.count == 1)
        if !content.isEmpty { #expect(folder.names.contains { $0.hasPrefix("journal.sqlite.corrupt-") }) }
        await journal.append(Sample.numbered(7))
        await journal.flush()
        #expect(await journal.figures.fault == nil)
        await journal.close()
    }

    @Test func damagedPagesReadAsGapsAndAreRepairedAtTheNextStart() async throws {
        let folder = try await closedJournal()
        let intact = try folder.open()
        let before = try await intact.everything()
        await intact.close()
        // Two leaf pages in the middle of the rows.
        try overwrite(folder.database, at: 20 * 4096, with: [UInt8](repeating: 0xA5, count: 2 * 4096))

        let running = try folder.open()
        let seen = try await running.everythingTold()
        #expect(unexplainedHoles(seen).isEmpty && seen.first?.position == 1)
        let unreadable = seen.filter { $0.gap?.reason == .diskError }.compactMap(\.gap?.positions)
        #expect((1...60).contains(unreadable.reduce(0) { $0 + $1.count }))
        let old = Dictionary(uniqueKeysWithValues: before.map { ($0.position, $0) })
        for row in seen where row.number != nil { #expect(row == old[row.position]) }
        #expect(try await running.everythingTold().count == seen.count, "told once")
        await running.close()

        let repaired = try folder.open()
        #expect(repaired.openingNotes.first?.contains("rows were saved") == true)
        #expect(folder.names.contains { $0.hasPrefix("journal.sqlite.corrupt-") })
        #expect(!folder.names.contains { $0.contains("salvage") })
        let after = try await repaired.everything()
        #expect(unexplainedHoles(after).isEmpty)
        #expect(after.compactMap(\.number).count >= 340)
        for row in after where row.number != nil { #expect(row == old[row.position]) }
        let owed = try #require(try await repaired.pending(for: "plant"))
        #expect(owed.overlap(with: 1...9).isEmpty)
        await repaired.close()
        let last = try folder.open()
        #expect(last.openingNotes.isEmpty, "a repair is done once")
        await last.close()
    }

    @Test(arguments: 0..<25)
    func noDamageStopsAStartOrGivesAPositionTwice(seed: Int) async throws {
        let folder = try await closedJournal()
        var random = SeededGenerator(UInt64(seed))
        let length = folder.byteCount(folder.database)
        for _ in 0..<Int.random(in: 1...4, using: &random) {
            let junk = (0..<Int.random(in: 1...3000, using: &random)).map { _ in
                UInt8.random(in: 0...255, using: &random)
            }
            let offset = Bool.random(using: &random) ? length / 2 : 16_384
            try overwrite(folder.database, at: Int.random(in: 0..<offset, using: &random), with: junk)
        }
        for _ in 0..<2 {
            let journal: SQLiteJournal
            do {
                journal = try folder.open()
            } catch {
                Issue.record("seed \(seed): \(error)")
                return
            }
            #expect(await journal.next > 400)
            let start = await journal.next
            await journal.append(Sample.numbered(1))
            await journal.flush()
            let rows = try await journal.rows(from: start, limit: 5)
            #expect(rows.first?.position ?? start >= start)
            let all = try await journal.everythingTold()
            #expect(unexplainedHoles(all).isEmpty)
            #expect(Set(all.map(\.position)).count == all.count)
            await journal.close()
        }
    }

    @Test func rowsThatCannotBeReadAreToldOnceAndSkipped() async throws {
        let folder = try await closedJournal()
        let queue = try DatabaseQueue(path: folder.database)
        try await queue.write { db in
            try db.execute(sql: "UPDATE row SET body = x'0102ff' WHERE seq = 7")
            try db.execute(sql: "UPDATE row SET body = 'text' WHERE seq = 8")
            try db.execute(sql: "DELETE FROM row WHERE seq = 9")
        }
        try queue.close()
        let journal = try folder.open()
        let slice = try await journal.read(from: 6, limit: 5)
        #expect(slice.entries.first?.position == 6 && slice.entries.allSatisfy { ![7, 8, 9].contains($0.position) })
        #expect(try await journal.read(from: 8, limit: 5).end > 9)
        let all = try await journal.everythingTold()
        #expect(unexplainedHoles(all).isEmpty)
        let told = all.compactMap(\.gap).filter { $0.reason == .diskError }
        #expect(told.reduce(0) { $0 + $1.count } == 3)
        await journal.close()
    }
}
