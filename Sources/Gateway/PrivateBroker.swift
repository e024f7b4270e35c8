import Foundation

/// A Mosquitto broker of one's own on a free loopback port, gone with its owner.
package final class PrivateBroker {
    package let port: Int
    private let process = Process()
    private let folder: String

    /// Why there is no broker, in words that say what to do.
    package struct Failure: Error, CustomStringConvertible {
        package var description: String
    }

    private static let programs = ["/usr/sbin/mosquitto", "/usr/bin/mosquitto", "/usr/local/sbin/mosquitto"]

    /// - Parameters:
    ///   - folder: where its configuration and log go.
    ///   - options: further lines of its configuration.
    ///   - port: where it listens; nil for any free port.
    package init(folder: String, options: [String] = [], port: Int? = nil) throws {
        guard let program = Self.programs.first(where: FileManager.default.isExecutableFile) else {
            throw Failure(description: "the broker 'mosquitto' is not installed; run: apt-get install mosquitto")
        }
        self.folder = folder
        self.port = try port ?? Self.freePort()
        let lines = [
            "listener \(self.port) 127.0.0.1", "allow_anonymous true", "persistence false",
            "log_dest file \(folder)/mosquitto.log",
        ]
        let configuration = (lines + options + [""]).joined(separator: "\n")
        try configuration.write(toFile: folder + "/mosquitto.conf", atomically: true, encoding: .utf8)
        process.executableURL = URL(fileURLWithPath: program)
        process.arguments = ["-c", folder + "/mosquitto.conf"]
        process.standardOutput = FileHandle.nullDevice
        process.standardError = FileHandle.nullDevice
        try runWithoutBlockedSignals()
        try waitUntilItListens()
    }

    /// A child inherits the signals that its parent's thread blocks, as worker threads do: it would not hear SIGHUP.
    private func runWithoutBlockedSignals() throws {
        var none = sigset_t()
        var before = sigset_t()
        sigemptyset(&none)
        pthread_sigmask(SIG_SETMASK, &none, &before)
        defer { pthread_sigmask(SIG_SETMASK, &before, nil) }
        try process.run()
    }

    /// Clients that come too early would be refused and give up.
    private func waitUntilItListens() throws {
        for _ in 0..<500 {
            if Self.accepts(port) { return }
            guard process.isRunning else { break }
            usleep(10_000)
        }
        stop()
        throw Failure(description: "mosquitto does not listen on port \(self.port); see \(folder)/mosquitto.log")
    }

    private static func accepts(_ port: Int) -> Bool {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        defer { close(descriptor) }
        var address = loopback(port)
        return withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size)) == 0
            }
        }
    }

    private static func loopback(_ port: Int) -> sockaddr_in {
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = UInt16(port).bigEndian
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        return address
    }

    /// Freezes the broker: it keeps its connections and says nothing any more.
    package func freeze(_ isFrozen: Bool = true) {
        kill(process.processIdentifier, isFrozen ? SIGSTOP : SIGCONT)
    }

    /// Has the broker read its access lists again.
    package func reload() {
        kill(process.processIdentifier, SIGHUP)
    }

    package func stop() {
        guard process.isRunning else { return }
        // The child inherits blocked signals from a process that handles them itself; this one cannot be blocked, and a
        // broker without persistence has nothing to save.
        kill(process.processIdentifier, SIGKILL)
        process.waitUntilExit()
    }

    /// A port that nobody listens on now.
    private static func freePort() throws -> Int {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        defer { close(descriptor) }
        var address = loopback(0)
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let isBound = withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(descriptor, $0, length) == 0 && getsockname(descriptor, $0, &length) == 0
            }
        }
        guard isBound else { throw Failure(description: "no free port on 127.0.0.1") }
        return Int(UInt16(bigEndian: address.sin_port))
    }
}
