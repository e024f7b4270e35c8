import Foundation
import Testing

/// Rules that the compiler does not enforce: who imports what, and habits.
@Suite struct TidyTests {
    struct SourceFile {
        var target: String
        var path: String
        var lines: [String]
    }

    static let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent()

    static let sources: [SourceFile] = {
        let folder = root.appendingPathComponent("Sources").path
        let names = FileManager.default.enumerator(atPath: folder)?.compactMap { $0 as? String } ?? []
        return names.filter { $0.hasSuffix(".swift") }.compactMap { name in
            guard let text = try? String(contentsOfFile: folder + "/" + name, encoding: .utf8) else { return nil }
            return SourceFile(
                target: String(name.split(separator: "/")[0]), path: name,
                lines: text.split(separator: "\n", omittingEmptySubsequences: false).map(String.init))
        }
    }()

    static let allowed: [String: Set<String>] = [
        "Model": [],
        "Files": ["Glibc"],
        "Audit": ["Crypto"],
        "Engine": ["Model", "Synchronization"],
        "ModbusBus": [
            "CModbus", "CTerminal", "Dispatch", "Engine", "Foundation", "Glibc", "Model", "NIOCore", "NIOPosix",
            "Synchronization",
        ],
        "SQLiteJournal": [
            "Audit", "Dispatch", "Engine", "Files", "Foundation", "GRDB", "GRDBSQLite", "Glibc", "Model",
            "Synchronization",
        ],
        "MosquittoUplink": [
            "CMosquitto", "COpenSSL", "Dispatch", "Engine", "Files", "Foundation", "Glibc", "Model", "Synchronization",
        ],
        "Profiles": ["Files", "Foundation", "Model", "Yams"],
        "Importers": ["Foundation", "Model", "SwiftCSV", "TOMLKit", "Yams"],
        "Payloads": ["Audit", "Crypto", "Engine", "Model", "Synchronization"],
        "Console": ["Engine", "Glibc", "Model", "NIOCore", "NIOPosix", "Synchronization"],
        "Simulator": ["CModbus", "CTerminal", "Foundation", "Glibc", "Model", "Synchronization"],
        "GatewayTesting": ["Dispatch", "Engine", "Foundation", "Model", "Synchronization", "Testing"],
    ]

    static func code(_ line: String) -> String {
        let trimmed = line.trimmingCharacters(in: .whitespaces)
        return trimmed.hasPrefix("//") ? "" : trimmed
    }

    @Test func everyTargetImportsOnlyWhatItMay() {
        #expect(Self.sources.count > 50)
        for file in Self.sources {
            guard let allowed = Self.allowed[file.target] else { continue }
            for line in file.lines.map(Self.code) where line.hasPrefix("import ") || line.hasPrefix("package import ") {
                let module = line.split(separator: " ").last.map(String.init) ?? ""
                #expect(allowed.contains(module), "\(file.path) imports \(module)")
            }
        }
    }

    @Test(arguments: ["try!", "print(", "fatalError(", "DispatchQueue.main"])
    func whatIsNotWritten(word: String) {
        for file in Self.sources where !(word == "print(" && file.target == "headgate") {
            for (index, line) in file.lines.enumerated() where Self.code(line).contains(word) {
                Issue.record("\(file.path):\(index + 1) has \(word)")
            }
        }
    }

    @Test(arguments: ["Date()", "clock_gettime", "ContinuousClock", "SuspendingClock", "gettimeofday"])
    func theEngineAndTheModelDoNotKnowWhatTimeItIs(word: String) {
        let free: Set<String> = [
            "Audit", "Engine", "Model", "Importers", "Payloads", "Profiles", "SQLiteJournal", "ModbusBus", "Console",
        ]
        for file in Self.sources where free.contains(file.target) {
            for (index, line) in file.lines.enumerated() where Self.code(line).contains(word) {
                Issue.record("\(file.path):\(index + 1) has \(word)")
            }
        }
    }

    @Test(arguments: ["Date()", "Date(timeIntervalSinceNow"])
    func nothingWaitsByAClockThatCanBeSet(word: String) {
        for file in Self.sources {
            for (index, line) in file.lines.enumerated() where Self.code(line).contains(word) {
                Issue.record("\(file.path):\(index + 1) has \(word)")
            }
        }
    }

    @Test func tasksWithoutAParentAreFewAndKnown() {
        let known: Set<String> = ["Gateway/Assembly.swift"]
        for file in Self.sources where !known.contains(file.path) {
            for (index, line) in file.lines.enumerated() {
                let text = Self.code(line)
                if text.replacingOccurrences(of: "addTask {", with: "").contains("Task {")
                    || text.contains("Task.detached")
                {
                    Issue.record("\(file.path):\(index + 1) starts a task without a parent")
                }
            }
        }
    }

    @Test func filesAreShort() {
        for file in Self.sources { #expect(file.lines.count <= 500, "\(file.path) has \(file.lines.count) lines") }
    }
}
