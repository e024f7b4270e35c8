/// The gateway's local socket: one request a line in, one JSON document a line out. It lets commands at the shell go through
/// the running gateway, so that a bus has one master.
package enum ControlProtocol {
    /// Name of the socket in the state folder.
    package static let socketName = "control.sock"
    /// Bytes of a request at most.
    package static let requestLimit = 4096
}
