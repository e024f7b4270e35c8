import Engine
import Foundation
import Gateway
import GatewayTesting
import Model
import SQLiteJournal
import Testing

/// A journal with two devices, a gap and known times, closed again.
private struct StoredJournal {
    let folder: String
    static let start = UnixTime(milliseconds: 1_795_218_100_000)

    init() async throws {
        folder = NSTemporaryDirectory() + "/hg-\(UUID().uuidString)"
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        // Durations are counted from the clock's own start: rows are recorded as soon as their readings are taken.
        let clock = ManualClock(uptime: .seconds(100), utc: Self.start - .seconds(100))
        let journal = try SQLiteJournal(folder: folder, settings: BufferSettings(), clock: clock)
        for (index, device) in ["pump", "tank"].enumerated() {
            let entries = [
                DeviceLayout.Entry(id: "\(device)/a", definition: "00112233445566aa", unit: "Cel"),
                DeviceLayout.Entry(id: "\(device)/b", definition: "00112233445566bb", unit: nil),
            ]
            let layout = try await journal.register(DeviceLayout(device: device, labels: [], entries: entries))
            var batch = ReadingBatch(layout: layout)
            let time = Self.start + .seconds(index)
            batch.append(point: 0, time: time, value: .float(21.5), reasons: [], number: 0)
            batch.append(point: 1, time: time, value: .string("a, \"b\""), reasons: [], number: 0)
            await journal.append(.readings(batch))
        }
        await journal.append(
            .gap(GapRecord(device: "tank", from: Self.start, to: Self.start, reason: .notPolled, count: 2)))
        await journal.close()
    }

    func export(
        _ format: JournalExport.Format, range: JournalRange = JournalRange(), devices: Set<String> = [],
        points: Set<String> = []
    ) throws -> [String] {
        let export = try JournalExport(
            path: folder, gateway: "g", range: range, format: format, devices: devices, points: points)
        var lines: [String] = []
        #expect(try export.run { lines.append(String(decoding: $0, as: UTF8.self)) } == [])
        return lines
    }

    func remove() { try? FileManager.default.removeItem(atPath: folder) }
}

@Suite struct JournalExportTests {
    @Test func csvHasALineForEachReadingAndGap() async throws {
        let stored = try await StoredJournal()
        defer { stored.remove() }
        let time = StoredJournal.start.rfc3339
        let lines = try stored.export(.csv)
        #expect(lines.count == 6)
        #expect(lines[0] == "time,device,point,value,unit,quality,reasons,epoch,seq,n")
        #expect(lines[1] == "\(time),pump,pump/a,21.5,Cel,good,,1,1,0")
        #expect(lines[2] == "\(time),pump,pump/b,\"a, \"\"b\"\"\",,good,,1,1,0")
        #expect(lines[5] == "\(time),tank,,,,gap,not_polled,1,3,")
    }

    @Test func filtersKeepWhatTheyName() async throws {
        let stored = try await StoredJournal()
        defer { stored.remove() }
        #expect(try stored.export(.csv, devices: ["pump"]).count == 3)
        #expect(try stored.export(.csv, points: ["tank/b"]).count == 3, "the gap of the point's device is told too")
        #expect(try stored.export(.csv, range: JournalRange(from: .position(2), to: .position(2))).count == 3)
        #expect(try stored.export(.csv, devices: ["nobody"]).count == 1)
    }

    @Test func aTimeIsIncludedAtTheBeginAndNotAtTheEnd() async throws {
        let stored = try await StoredJournal()
        defer { stored.remove() }
        let next = StoredJournal.start + .seconds(1)
        let before = try stored.export(.csv, range: JournalRange(to: .time(next)))
        #expect(before.dropFirst().map { $0.split(separator: ",")[1] } == ["pump", "pump", "tank"])
        let after = try stored.export(.csv, range: JournalRange(from: .time(next)))
        #expect(after.dropFirst().map { $0.split(separator: ",")[1] } == ["tank", "tank"])
    }

    @Test func documentsAreThoseThatArePublishedAndProveThemselves() async throws {
        let stored = try await StoredJournal()
        defer { stored.remove() }
        let lines = try stored.export(.jsonl)
        #expect(lines.count == 3 && lines.allSatisfy { $0.contains(#""replay":true"#) })
        let capture = stored.folder + "/capture.jsonl"
        try lines.joined(separator: "\n").write(toFile: capture, atomically: true, encoding: .utf8)
        let verification = try JournalVerification(path: capture)
        #expect(verification.isProven && verification.verdicts["g"]?.readings == 4)
    }

    @Test(arguments: ["2026-11-20T23:41:07Z", "2026-11-20", "17"]) func anEndIsATimeADayOrAPosition(_ text: String) {
        #expect(JournalEnd(text) != nil)
    }

    @Test(arguments: ["", "yesterday", "2026-13-20", "-1", "1.5"]) func everythingElseIsNoEnd(_ text: String) {
        #expect(JournalEnd(text) == nil)
    }
}

@Suite struct JournalVerificationTests {
    /// What is found in a capture with these lines.
    private func verification(_ lines: [String]) throws -> JournalVerification {
        let path = NSTemporaryDirectory() + "/hg-\(UUID().uuidString).jsonl"
        try lines.joined(separator: "\n").write(toFile: path, atomically: true, encoding: .utf8)
        defer { try? FileManager.default.removeItem(atPath: path) }
        return try JournalVerification(path: path)
    }

    private func reading(_ seq: Int, n: Int? = nil, value: String = "1.5", more: String = "") -> String {
        #"{"schema":"reading/1","gateway":"g","epoch":1,"seq":\#(seq),"sent":"x"\#(more),"device":"d","readings":["#
            + #"{"point":"d/p","def":"00","time":"t","value":\#(value),"quality":"good","n":\#(n ?? seq)}]}"#
    }

    @Test func sentAndReplayAreNoContent() throws {
        let found = try verification([reading(1), reading(2), reading(2, more: #","replay":true"#)])
        #expect(found.isProven && found.redeliveries == 1)
    }

    @Test(arguments: ["2.5", "null", "true", #""text""#]) func anotherValueIsAnotherContent(_ value: String) throws {
        let found = try verification([reading(1), reading(2), reading(2, value: value)])
        #expect(!found.isProven && found.verdicts["g"]?.changed.examples == [2])
    }

    @Test func topicsBeforeTheDocumentsAndOtherDocumentsAreLeftOut() throws {
        let found = try verification([
            #"headgate/v1/g/d/d {"schema":"device/1","device":"d","points":[]}"#,
            "headgate/v1/g/r/d " + reading(1), #"headgate/v1/g/status {"schema":"status/1","gateway":"g"}"#, reading(2),
            "",
        ])
        #expect(found.isProven && found.others == 2 && found.verdicts["g"]?.rows == 2)
    }

    @Test(arguments: [[], ["", ""], [#"{"schema":"status/1","gateway":"g"}"#]])
    func aCaptureWithoutAnyRowProvesNothing(_ lines: [String]) throws {
        let found = try verification(lines)
        #expect(!found.isProven && found.brokenCount == 0)
    }

    @Test(arguments: [
        "junk", "{", #"{"schema":"reading/1","gateway":"g"}"#, #"{"gateway":"g"}"#,
        #"{"schema":"gap/1","gateway":"g","epoch":1,"seq":2,"from":"a","to":"b","reason":"mood","count":1}"#,
        #"{"schema":"gap/1","gateway":"g","epoch":1,"seq":2,"from_seq":1,"to_seq":18446744073709551615,"from":"a","to":"b","#
            + #""reason":"disk_error","count":1}"#,
        #"{"schema":"gap/1","gateway":"g","epoch":1,"seq":2,"from_seq":1,"from":"a","to":"b","reason":"disk_error","count":1}"#,
        #"{"schema":"reading/1","epoch":1,"seq":5,"device":"d","readings":[]}"#,
        #"{"schema":"reading/1","gateway":"g","epoch":1,"seq":-5,"device":"d","readings":[]}"#,
        #"{"schema":"reading/1","gateway":"g","epoch":1,"seq":18446744073709551615,"device":"d","readings":[]}"#,
    ]) func aBrokenLineIsToldAndProvesNothing(_ line: String) throws {
        let found = try verification([reading(1), line, reading(2)])
        #expect(!found.isProven && found.brokenCount == 1 && found.broken[0].place == "line 2")
    }

    @Test func gatewaysAreJudgedApart() throws {
        let other = reading(7).replacing(#""gateway":"g""#, with: #""gateway":"h""#)
        let found = try verification([reading(1), other, reading(2)])
        #expect(found.isProven && found.verdicts.keys.sorted() == ["g", "h"])
    }

    @Test func aRowThatIsMissingFromAJournalFileIsFound() async throws {
        let stored = try await StoredJournal()
        defer { stored.remove() }
        #expect(try JournalVerification(path: stored.folder).isProven)
        let sqlite = Process()
        sqlite.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        sqlite.arguments = [
            "python3", "-c",
            "import sqlite3,sys; sqlite3.connect(sys.argv[1], isolation_level=None).execute('DELETE FROM row WHERE seq = 2')",
            stored.folder + "/journal.sqlite",
        ]
        try sqlite.run()
        sqlite.waitUntilExit()
        let found = try JournalVerification(path: stored.folder)
        #expect(!found.isProven && found.verdicts[""]?.unexplained.examples == [2...2])
    }

    @Test func whatIsNotThereIsSaid() {
        #expect(throws: JournalError.self) { try JournalVerification(path: "/nonexistent") }
    }
}
