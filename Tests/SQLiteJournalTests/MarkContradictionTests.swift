import Foundation
import Testing

@testable import SQLiteJournal

struct MarkContradictionTests {
    @Test func aFileThatWasPutBackContradictsItsMarkAndNoOtherDoes() async throws {
        let folder = try StateFolder()
        let file = URL(fileURLWithPath: folder.database)
        var journal = try folder.open()
        await journal.appendNumbered(0..<5)
        await journal.close()
        let copy = try Data(contentsOf: file)
        #expect(try JournalReader(path: folder.path).contradiction() == nil)
        journal = try folder.open()
        await journal.appendNumbered(5..<9)
        await journal.flush()
        #expect(try JournalReader(path: folder.path).contradiction() == nil, "while a gateway runs on it")
        await journal.close()
        #expect(try JournalReader(path: folder.path).contradiction() == nil)
        try copy.write(to: file)
        for path in [folder.path, folder.database] {
            #expect(try JournalReader(path: path).contradiction()?.contains("put back") == true)
        }
        try FileManager.default.removeItem(atPath: folder.path + "/journal.lock")
        #expect(try JournalReader(path: folder.path).contradiction() == nil)
    }
}
