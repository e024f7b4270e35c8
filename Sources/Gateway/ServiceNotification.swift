import Glibc
import Model

/// The service manager's notification protocol (sd_notify(3)): one datagram to the socket that `$NOTIFY_SOCKET` names.
/// Without a service manager nothing happens.
package struct ServiceNotification: Sendable {
    private let socketPath: String?
    /// How often the service manager wants to hear that the gateway lives; nil when it does not watch.
    package let watchdogInterval: Duration?

    package init() {
        socketPath = getenv("NOTIFY_SOCKET").map { String(cString: $0) }
        let microseconds = getenv("WATCHDOG_USEC").flatMap {
            Int64(String(cString: $0), in: 1...Duration.longest.microseconds)
        }
        watchdogInterval = microseconds.map { .microseconds($0 / 2) }
    }

    package func ready() { send("READY=1") }
    package func reloading() { send("RELOADING=1\nMONOTONIC_USEC=\(monotonicMicroseconds)") }
    package func stopping() { send("STOPPING=1") }
    package func alive() { send("WATCHDOG=1") }
    package func status(_ text: String) { send("STATUS=\(text)") }

    private var monotonicMicroseconds: Int64 {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return Int64(time.tv_sec) * 1_000_000 + Int64(time.tv_nsec) / 1000
    }

    private func send(_ message: String) {
        guard let socketPath, socketPath.utf8.count < 108 else { return }
        let descriptor = socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { return }
        defer { close(descriptor) }
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        var path = Array(socketPath.utf8)
        // A leading @ stands for the abstract namespace, whose names begin with NUL.
        if path.first == UInt8(ascii: "@") { path[0] = 0 }
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path) }
        let length = socklen_t(MemoryLayout<sa_family_t>.size + path.count)
        _ = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { pointer in
                sendto(descriptor, message, message.utf8.count, Int32(MSG_NOSIGNAL), pointer, length)
            }
        }
    }
}
