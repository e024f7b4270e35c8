import Audit
import Engine
import Foundation
import GatewayTesting
import Payloads
import SQLiteJournal
import Testing

@testable import Gateway

/// Export and offline verification, each against an implementation that the project did not write.
@Suite(.serialized) struct AuditTests {
    let folder: String
    let key: String
    let size: UInt64

    init() async throws {
        folder = FileManager.default.temporaryDirectory.appendingPathComponent("headgate-audit-\(UUID())").path
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        let signer = try AuditKey.open(folder: folder, gateway: "gw-07")
        key = signer.verifier.description
        let ledger = try SQLiteLedger(folder: folder, clock: SystemClock())
        for number in 0..<21 {
            let record = LedgerRecord(kind: "command", key: "\(number % 5)", body: Array("state \(number)".utf8))
            let leaf =
                number == 7 ? [0xFF, 0xFE, 0x00] : Array(#"{"schema":"event/1","seq":\#(number),"text":"ü\n"}"#.utf8)
            _ = try await ledger.commit([record], leaves: [leaf])
            if number % 6 == 0 { _ = try await ledger.checkpoint(signedBy: signer) }
        }
        _ = try await ledger.checkpoint(signedBy: signer)
        size = ledger.figures.size
        await ledger.close()
    }

    private func exported(from: String? = nil, to: String? = nil) throws -> [String] {
        var lines: [String] = []
        let export = try AuditExport(
            path: folder, from: from.flatMap { AuditExport.Bound($0) }, to: to.flatMap { AuditExport.Bound($0) })
        try export.write { lines.append(String(decoding: $0, as: UTF8.self)) }
        return lines
    }

    private func file(_ lines: [String]) throws -> String {
        let path = folder + "/export-\(UUID()).jsonl"
        try Data((lines.joined(separator: "\n") + "\n").utf8).write(to: URL(fileURLWithPath: path))
        return path
    }

    private func isSound(_ lines: [String]) throws -> Bool {
        let path = try file(lines)
        return (try? AuditReport(path: path, keys: [key], checkpoints: []))?.isSound ?? false
    }

    @Test func theWholeLogVerifiesHereAndWithOtherPeoplesCode() async throws {
        let report = try AuditReport(path: folder, keys: [], checkpoints: [])
        #expect(report.isSound, "\(report.text)")
        let lines = try exported()
        let path = try file(lines)
        #expect(try AuditReport(path: path, keys: [key], checkpoints: []).isSound)
        let (status, text) = try await PythonPeer.run("verify_audit.py", [path, key])
        #expect(status == 0 && text.hasPrefix("sound: \(size) entries, 5 checkpoints"), "\(text)")
    }

    @Test(arguments: [("5", "9"), ("0", "1"), ("41", "42"), ("17", nil), (nil, "3")] as [(String?, String?)])
    func aPartVerifiesEntryByEntryHereAndWithOtherPeoplesCode(from: String?, to: String?) async throws {
        let lines = try exported(from: from, to: to)
        let path = try file(lines)
        let report = try AuditReport(path: path, keys: [key], checkpoints: [])
        #expect(report.isSound, "\(report.text)")
        let (status, text) = try await PythonPeer.run("verify_audit.py", [path, key])
        #expect(status == 0, "\(text)")
        for index in lines.indices.dropFirst() {
            var removed = lines
            removed.remove(at: index)
            #expect(try !isSound(removed), "line \(index + 1)")
        }
    }

    @Test func everyLineThatIsChangedRemovedDoubledOrMovedIsFound() async throws {
        let lines = try exported()
        #expect(try isSound(lines))
        for index in lines.indices.dropFirst() {
            await Task.yield()
            var changed = lines
            let isNote = changed[index].contains("note")
            changed.remove(at: index)
            // A checkpoint that is left out convicts nobody, the others still hold.
            if !isNote { #expect(try !isSound(changed), "line \(index + 1) removed") }
            changed = lines
            changed.insert(lines[index], at: index)
            if !isNote { #expect(try !isSound(changed), "line \(index + 1) doubled") }
            changed = lines
            if index + 1 < lines.count, !isNote, !lines[index + 1].contains("note") {
                changed.swapAt(index, index + 1)
                #expect(try !isSound(changed), "lines \(index + 1) and \(index + 2) swapped")
            }
            for offset in stride(from: index % 61, to: lines[index].utf8.count, by: 61) {
                var bytes = Array(lines[index].utf8)
                bytes[offset] ^= 1
                changed = lines
                changed[index] = String(decoding: bytes, as: UTF8.self)
                #expect(try !isSound(changed), "line \(index + 1), byte \(offset)")
            }
        }
    }

    @Test func otherPeoplesCodeFindsTheSame() async throws {
        let lines = try exported()
        for index in [1, 9, lines.count - 1] {
            var bytes = Array(lines[index].utf8)
            bytes[bytes.count / 2] ^= 1
            var changed = lines
            changed[index] = String(decoding: bytes, as: UTF8.self)
            let (status, _) = try await PythonPeer.run("verify_audit.py", [try file(changed), key])
            #expect(status == 1, "line \(index + 1)")
        }
    }

    @Test func aForeignKeyOrAnOlderHistoryIsNotTrusted() async throws {
        let stranger = try NoteSigner(name: "headgate/v1/gw-07/audit")
        #expect(try !AuditReport(path: folder, keys: [stranger.verifier.description], checkpoints: []).isSound)
        let elsewhere = folder + "/kept.checkpoint"
        let later = Checkpoint(origin: "headgate/v1/gw-07/audit", size: size + 5, root: .leaf([1]))
        let signer = try AuditKey.open(folder: folder, gateway: "gw-07")
        try Data(try later.signed(by: signer).bytes).write(to: URL(fileURLWithPath: elsewhere))
        let report = try AuditReport(path: folder, keys: [key], checkpoints: [elsewhere])
        #expect(!report.isSound && report.text.contains("\(size + 5) entries were signed"))
    }

    @Test func timesChooseWholeTransactions() throws {
        #expect(try exported(from: "2100-01-01T00:00:00Z").first?.contains(#""from":\#(size),"to":\#(size)"#) == true)
        #expect(try exported(to: "2020-01-01T00:00:00Z").first?.contains(#""from":0,"to":0"#) == true)
        #expect(AuditExport.Bound("yesterday") == nil)
    }
}

@Suite struct KeyFileTests {
    let folder: String

    init() throws {
        folder = FileManager.default.temporaryDirectory.appendingPathComponent("headgate-keys-\(UUID())").path
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    }

    private func mode(_ path: String) throws -> Int {
        let attributes = try FileManager.default.attributesOfItem(atPath: path)
        return try #require(attributes[.posixPermissions] as? NSNumber).intValue
    }

    @Test func secretsAreForTheirOwnerOnly() throws {
        let path = folder + "/anna.jwk"
        try KeyFiles.create(path, try JSONWebKey(ed25519: "anna").json)
        #expect(try mode(path) == 0o600)
        #expect(try KeyFiles.read(path).keyID == "anna")
        #expect(throws: KeyProblem.self) { try KeyFiles.create(path, []) }
        #expect(chmod(path, 0o640) == 0)
        #expect(throws: KeyProblem.self) { try KeyFiles.read(path) }
        let entry = try #require(try KeyFiles.list(folder).first)
        #expect(entry.key == nil && entry.trouble?.contains("chmod 600") == true)
    }

    @Test func theKeyOfTheLogIsMadeOnceAndKept() throws {
        let made = try AuditKey.open(folder: folder, gateway: "gw-07")
        #expect(try mode(folder + "/audit.key") == 0o600)
        #expect(try AuditKey.open(folder: folder, gateway: "gw-07").verifier == made.verifier)
        let stored = try String(contentsOfFile: folder + "/audit.pub", encoding: .utf8)
        #expect(stored == made.verifier.description + "\n")
        #expect(chmod(folder + "/audit.key", 0o644) == 0)
        #expect(throws: KeyProblem.self) { try AuditKey.open(folder: folder, gateway: "gw-07") }
    }
}
