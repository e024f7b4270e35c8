package import Engine
import Foundation
import Model
import Payloads
import SQLiteJournal

/// Walks a journal's file, or a capture of what a consumer received, and tells whether anything is missing
/// (`headgate journal verify`).
package struct JournalVerification: Sendable {
    /// What was walked.
    package enum Kind: String, Sendable {
        case journal, capture
    }

    package let path: String
    package private(set) var kind = Kind.capture
    /// By gateway; a journal's file does not know the gateway's name and has one entry.
    package private(set) var verdicts: [String: ContinuityVerdict] = [:]
    /// Lines or rows that cannot be read: where, and why.
    package private(set) var broken: [(place: String, why: String)] = []
    package private(set) var brokenCount = 0
    /// Documents of a capture that are neither readings nor gaps.
    package private(set) var others = 0

    private static let exampleLimit = 20

    /// - Parameter path: a state folder, a journal's file, a file of JSON lines, or `-` for JSON lines on the standard input.
    /// - Throws: where there is nothing that can be read, in words.
    package init(path: String) throws {
        self.path = path
        if path == "-" {
            try walk(capture: .standardInput)
            return
        }
        var isFolder: ObjCBool = false
        guard FileManager.default.fileExists(atPath: path, isDirectory: &isFolder) else {
            throw JournalError.unusable("no file \(path)")
        }
        if isFolder.boolValue {
            try walk(journal: path)
            return
        }
        guard let handle = FileHandle(forReadingAtPath: path) else {
            throw JournalError.unusable("\(path) cannot be opened for reading")
        }
        let isDatabase = try handle.read(upToCount: 16) == Data("SQLite format 3\0".utf8)
        try handle.seek(toOffset: 0)
        if isDatabase { try walk(journal: path) } else { try walk(capture: handle) }
    }

    /// Whether nothing is missing that no gap record tells, nothing changed and nothing is broken. A capture without any row
    /// proves nothing: its subscriber may have had the wrong topic, or no session.
    package var isProven: Bool {
        brokenCount == 0 && !verdicts.isEmpty && verdicts.values.allSatisfy(\.isProven)
    }

    package var redeliveries: Int {
        verdicts.values.reduce(0) { $0 + $1.redeliveries }
    }

    private mutating func note(_ place: String, _ why: String) {
        brokenCount += 1
        if broken.count < Self.exampleLimit { broken.append((place, why)) }
    }

    // MARK: - A capture

    private mutating func walk(capture handle: FileHandle) throws {
        var lines = LineReader(handle)
        var checks: [String: ContinuityCheck] = [:]
        let decoder = JSONDecoder()
        var number = 0
        while let line = try lines.next() {
            number += 1
            // `mosquitto_sub -v` writes the topic before the payload.
            guard let start = line.firstIndex(of: UInt8(ascii: "{")) else {
                if !line.allSatisfy({ $0 == 0x20 || $0 == 0x0D }) { note("line \(number)", "no JSON document") }
                continue
            }
            do {
                let document = try decoder.decode(ReceivedDocument.self, from: line[start...])
                if let (gateway, row) = try document.row() {
                    checks[gateway, default: ContinuityCheck()].add(row)
                } else {
                    others += 1
                }
            } catch {
                note("line \(number)", Self.words(error))
            }
        }
        verdicts = checks.mapValues { $0.conclude() }
    }

    private static func words(_ error: any Error) -> String {
        switch error {
        case DecodingError.keyNotFound(let key, _): "no member '\(key.stringValue)'"
        case DecodingError.typeMismatch(_, let context), DecodingError.valueNotFound(_, let context):
            "'\(context.codingPath.map(\.stringValue).joined(separator: "."))' has the wrong type"
        case is DecodingError: "not valid JSON"
        default: "\(error)"
        }
    }

    // MARK: - A journal's file

    private mutating func walk(journal path: String) throws {
        kind = .journal
        let reader = try JournalReader(path: path)
        for problem in try reader.damage() { note("file", problem) }
        if let problem = try reader.contradiction() { note("file", problem) }
        var check = ContinuityCheck()
        var problems: [(String, String)] = []
        try reader.forEach { row in
            guard let body = row.body else {
                return problems.append(("row \(row.position)", "cannot be decoded"))
            }
            do {
                check.add(try ReceivedRow(row, body, reader))
            } catch {
                problems.append(("row \(row.position)", "\(error)"))
            }
        }
        for (place, why) in problems { note(place, why) }
        verdicts = ["": check.conclude()]
    }
}

extension ReceivedRow {
    fileprivate init(_ row: JournalReader.StoredEntry, _ body: JournalEntry.Body, _ reader: JournalReader) throws {
        self.init(epoch: row.epoch, position: row.position, digest: 0)
        switch body {
        case .gap(let record): gap = .init(positions: record.positions, reason: record.reason, count: record.count)
        case .readings(let batch):
            let layout = try reader.layout(batch.layout)
            readings = try zip(batch.points, batch.numbers).map { point, number in
                guard Int(point) < layout.entries.count else {
                    throw JournalError.unusable("point \(point) is not in layout \(batch.layout)")
                }
                return .init(point: layout.entries[Int(point)].id, number: number)
            }
        }
    }
}
