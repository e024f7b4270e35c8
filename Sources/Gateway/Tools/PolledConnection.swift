import Engine
import Foundation
import ModbusBus
import Model

/// A connection at work, for the tools at the shell.
struct PolledConnection: Sendable {
    var connection: Connection
    var devices: [Device]
    var poller: Poller
    var bus: any InterviewingBus
    var tap: TraceTap
}

extension Connection {
    /// Whether it is the channel at `endpoint`; a serial port may be known by several names.
    func isAt(_ endpoint: String) -> Bool {
        guard case .serial(let line) = channel else { return self.endpoint == endpoint }
        func device(_ path: String) -> String { URL(fileURLWithPath: path).resolvingSymlinksInPath().path }
        return endpoint.hasPrefix("/") && device(line.path) == device(endpoint)
    }
}
