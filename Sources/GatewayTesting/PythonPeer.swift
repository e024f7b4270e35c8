import Dispatch
import Foundation

/// Runs a script of `Tests/Peers` with the Python packages of its `requirements.txt`: implementations that the project did not
/// write, against which it checks its own.
package enum PythonPeer {
    /// Why a peer could not be asked.
    package struct Trouble: Error, CustomStringConvertible {
        package var description: String
    }

    private static let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent()

    private static let installation = Result {
        let output = try start("/bin/sh", [root.appendingPathComponent("Tests/Peers/install.sh").path])
        guard output.status == 0 else {
            throw Trouble(description: "Tests/Peers/install.sh: \(output.text)")
        }
    }

    /// Installs the packages at the first call, then runs `script`, on a thread of its own: other tests go on meanwhile.
    ///
    /// - Returns: everything it printed and its exit code.
    package static func run(_ script: String, _ arguments: [String]) async throws -> (status: Int32, text: String) {
        try await withCheckedThrowingContinuation { continuation in
            DispatchQueue.global().async { continuation.resume(with: Result { try wait(script, arguments) }) }
        }
    }

    private static func wait(_ script: String, _ arguments: [String]) throws -> (status: Int32, text: String) {
        try installation.get()
        let python = root.appendingPathComponent(".build/peers/venv/bin/python3").path
        return try start(python, [root.appendingPathComponent("Tests/Peers/\(script)").path] + arguments)
    }

    private static func start(_ program: String, _ arguments: [String]) throws -> (status: Int32, text: String) {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: program)
        process.arguments = arguments
        let output = Pipe()
        process.standardInput = FileHandle.nullDevice
        process.standardOutput = output
        process.standardError = output
        try process.run()
        let text = String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
        process.waitUntilExit()
        return (process.terminationStatus, text)
    }
}
