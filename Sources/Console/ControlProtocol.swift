import NIOCore

/// The gateway's local socket: one request a line in, one JSON document a line out. It lets commands at the shell go through
/// the running gateway, so that a bus has one master.
package enum ControlProtocol {
    /// Name of the socket in the state folder.
    package static let socketName = "control.sock"
    /// Bytes of a request at most.
    package static let requestLimit = 4096
    /// Clients at a time.
    package static let clientLimit = 32
    /// Scans, traces, probes and reads through a connection at a time.
    package static let jobLimit = 4
    /// How long a client may ask nothing, or not take what it is answered.
    static let idleTime = TimeAmount.seconds(60)
    /// How long a client may ask nothing while others find no place.
    static let graceTime = TimeAmount.seconds(1)

    static let full = problem("the local socket serves \(clientLimit) clients at a time; try again in a moment")
    static let busy = problem("\(jobLimit) scans, traces, probes or reads run already; try again when one has ended")
    static let idle = problem("closed: no request for \(idleTime.nanoseconds / 1_000_000_000) s, or answers not read")
    static let makingRoom = problem("closed: no request, and another client needs the place")
    static let tooLong = problem("a request has at most \(requestLimit) bytes")

    /// - Parameter text: without quotes and control characters.
    private static func problem(_ text: String) -> [UInt8] {
        Array(#"{"error":"\#(text)"}"#.utf8)
    }
}
