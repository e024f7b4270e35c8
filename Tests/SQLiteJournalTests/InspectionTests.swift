import Engine
import Foundation
import GatewayTesting
import Model
import Testing

@testable import SQLiteJournal

@Suite(.serialized) struct InspectionTests {
    @Test(arguments: [true, false])
    func aLookFromOutsideSeesTheSame(whileRunning: Bool) async throws {
        let folder = try StateFolder()
        let clock = TestClock()
        let journal = try folder.open(clock: clock)
        let oldest = clock.utc
        await journal.appendNumbered(0..<10)
        clock.advance(.seconds(5))
        await journal.appendNumbered(10..<20)
        await journal.save([.init(low: 4, high: 6), .init(low: 11, high: nil)], for: "plant")
        await journal.flush()
        if !whileRunning { await journal.close() }
        let before = folder.names
        let found = try JournalInspection(folder: folder.path)
        #expect(found.epoch == 1 && found.first == 1 && found.next == 21)
        #expect(found.oldest == oldest && found.newest == clock.utc)
        #expect(found.publishers == ["plant": .init(rows: 12, oldest: 4)])
        #expect(found.recentRows == 20 && found.readingsPerRow == 1)
        #expect(found.byteCount > 0)
        #expect(folder.names == before, "a look leaves nothing behind")
        if whileRunning {
            await journal.append(Sample.numbered(20))
            await journal.flush()
            #expect(await journal.figures.fault == nil)
            await journal.close()
        }
    }

    @Test func aFolderWithoutAJournalSaysSo() throws {
        let folder = try StateFolder()
        let error = #expect(throws: JournalError.self) { _ = try JournalInspection(folder: folder.path) }
        guard case .unusable(let words)? = error else {
            Issue.record("got \(String(describing: error))")
            return
        }
        #expect(words.contains("no journal at"))
    }

    @Test(arguments: 0..<15)
    func aDamagedFileIsAnErrorAndNoCrash(seed: Int) async throws {
        let folder = try StateFolder()
        let journal = try folder.open()
        for number in 0..<200 as Range<UInt64> { await journal.append(Sample.floats(50, number: number)) }
        await journal.close()
        var random = SeededGenerator(UInt64(seed))
        var bytes = Array(try Data(contentsOf: URL(fileURLWithPath: folder.database)))
        for _ in 0..<400 {
            bytes[Int.random(in: 0..<min(bytes.count, 16_384), using: &random)] = .random(in: 0...255, using: &random)
        }
        try Data(bytes).write(to: URL(fileURLWithPath: folder.database))
        do {
            let found = try JournalInspection(folder: folder.path)
            #expect(found.first <= found.next || found.byteCount > 0)
        } catch { #expect("\(error)".contains("cannot be read")) }
    }
}
