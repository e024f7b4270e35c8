import Audit
import Engine
import Foundation
import Model
import Payloads
import SQLiteJournal

/// What `headgate audit verify` found, on a ledger or on an export of one. Works without a gateway and without a network.
package struct AuditReport: Sendable {
    private let source: String
    private let audit: AuditVerification
    /// Entries whose inclusion was proven one by one, where the log is there in part only.
    private let proven: UInt64?
    private let keys: [NoteVerifier]
    /// Whether the keys come from the same place as the log, which proves nothing about who signed.
    private let trustsItself: Bool

    /// - Parameters:
    ///   - path: a state folder, a ledger, or an export.
    ///   - keys: public keys, or files that hold one; empty for those that lie beside the log.
    ///   - checkpoints: files with checkpoints that were kept elsewhere.
    /// - Throws: ``KeyProblem`` or another error in words when nothing can be said at all.
    package init(path: String, keys: [String], checkpoints: [String]) throws {
        source = path
        let others = try checkpoints.map { try KeyFiles.bytes(of: $0) }
        trustsItself = keys.isEmpty
        if Self.isLedger(path) {
            let ledger = try LedgerInspection(path: path)
            self.keys = try keys.isEmpty ? try Self.keysBeside(path, ledger) : keys.map(Self.key)
            audit = try ledger.verification(keys: self.keys, others: others)
            proven = nil
        } else {
            let lines = try AuditLines(path: path)
            self.keys = try keys.isEmpty ? lines.keys.map { try NoteVerifier($0) } : keys.map(Self.key)
            (audit, proven) = lines.isWhole ? (lines.verified(self.keys, others), nil) : lines.proven(self.keys, others)
        }
    }

    package var isSound: Bool { audit.isSound }

    /// The reason why nothing can be said, in words.
    package static func words(_ error: any Error) -> String {
        switch error {
        case LedgerError.unavailable(let why), LedgerError.unusable(let why): why
        case let trouble as AuditLines.Trouble: trouble.text
        case _: "\(error)"
        }
    }

    private static func isLedger(_ path: String) -> Bool {
        var isFolder: ObjCBool = false
        guard FileManager.default.fileExists(atPath: path, isDirectory: &isFolder), !isFolder.boolValue else {
            return true
        }
        let head = FileHandle(forReadingAtPath: path).flatMap { try? $0.read(upToCount: 15) }
        return head.map { Array($0) == Array("SQLite format 3".utf8) } ?? true
    }

    private static func key(_ text: String) throws -> NoteVerifier {
        guard FileManager.default.fileExists(atPath: text) else { return try NoteVerifier(text) }
        let content = String(decoding: try KeyFiles.bytes(of: text), as: UTF8.self)
        return try NoteVerifier(content.trimmingCharacters(in: .whitespacesAndNewlines))
    }

    private static func keysBeside(_ path: String, _ ledger: LedgerInspection) throws -> [NoteVerifier] {
        let file = path + "/" + AuditKey.publicFileName
        var keys = try ledger.signers().map { try NoteVerifier($0) }
        if FileManager.default.fileExists(atPath: file) {
            let beside = try key(file)
            if !keys.contains(beside) { keys.append(beside) }
        }
        return keys
    }

    // MARK: - For people

    package var text: String {
        var lines = [
            "log          \(audit.origin ?? "unknown")",
            "entries      \(proven.map { "\($0) proven one by one" } ?? "\(audit.size)")",
            "checkpoints  \(audit.checkpointCount) hold, the largest covers \(audit.covered) entries",
        ]
        if proven == nil { lines.append("root         \(audit.root.hex)") }
        if audit.covered < audit.size, proven == nil {
            lines.append(
                "not signed   the last \(audit.size - audit.covered) entries: the next checkpoint will cover them")
        }
        for key in keys { lines.append("key          \(key)") }
        if trustsItself { lines.append("             taken from the log itself; give --key to know who signed") }
        for finding in audit.findings { lines.append("WRONG        \(finding.text)") }
        if audit.findingCount > audit.findings.count {
            lines.append("WRONG        and \(audit.findingCount - audit.findings.count) more")
        }
        lines.append(isSound ? "verdict      sound" : "verdict      NOT SOUND: \(audit.findingCount) findings")
        return lines.joined(separator: "\n")
    }

    // MARK: - For programs

    package var json: [UInt8] {
        var json = JSONWriter()
        json.object { json in
            json.member("source") { $0.string(source) }
            json.member("sound") { $0.bool(isSound) }
            json.optional("origin", audit.origin) { $0.string($1) }
            json.member("entries") { $0.integer(proven ?? audit.size) }
            json.member("covered") { $0.integer(audit.covered) }
            json.member("checkpoints") { $0.integer(audit.checkpointCount) }
            if proven == nil { json.member("root") { $0.string(audit.root.hex) } }
            json.member("keys") { $0.array { list in keys.forEach { list.string($0.description) } } }
            json.member("keys_from_log") { $0.bool(trustsItself) }
            json.member("finding_count") { $0.integer(audit.findingCount) }
            json.member("findings") {
                $0.array { list in
                    for finding in audit.findings {
                        list.object { json in
                            json.member("kind") { $0.string(finding.kind.rawValue) }
                            json.member("text") { $0.string(finding.text) }
                        }
                    }
                }
            }
        }
        return json.bytes
    }
}

extension AuditLines {
    private var notes: [[UInt8]] {
        var notes: [[UInt8]] = []
        forEach { if case .success(.checkpoint(let note)) = $0 { notes.append(note) } }
        return notes
    }

    /// The whole log, leaf by leaf.
    func verified(_ keys: [NoteVerifier], _ others: [[UInt8]]) -> AuditVerification {
        var audit = AuditVerification(notes: notes + others, keys: keys)
        forEach { line in
            switch line {
            case .failure(let trouble): audit.found(.unreadable, trouble.text)
            case .success(.checkpoint): break
            case .success(.leaf(let index, let content, _)):
                if index != audit.size { audit.found(.entryMissing, "entry \(audit.size) is not there, \(index) is") }
                audit.append(content)
            }
        }
        if audit.size != size {
            audit.found(.entryMissing, "the export is of \(size) entries, \(audit.size) are there")
        }
        audit.finish()
        return audit
    }

    /// A part of a log: each entry by its own proof against the checkpoint that comes with it.
    func proven(_ keys: [NoteVerifier], _ others: [[UInt8]]) -> (AuditVerification, UInt64) {
        var audit = AuditVerification(notes: others, keys: keys)
        let newest = audit.trust(notes)
        var (expected, proven) = (range.lowerBound, UInt64(0))
        forEach { line in
            switch line {
            case .failure(let trouble): audit.found(.unreadable, trouble.text)
            case .success(.checkpoint): break
            case .success(.leaf(let index, let content, let proof)):
                if index != expected { audit.found(.entryMissing, "entry \(expected) is not there, \(index) is") }
                expected = index &+ 1
                guard let newest, let proof,
                    MerkleProof.holds(
                        inclusion: proof, of: .leaf(content), at: index, size: newest.size, root: newest.root)
                else { return audit.found(.rootMismatch, "entry \(index) is not proven to be what was signed") }
                proven += 1
            }
        }
        if expected != range.upperBound {
            audit.found(.entryMissing, "the export ends before entry \(range.upperBound), which is at \(expected)")
        }
        return (audit, proven)
    }
}
