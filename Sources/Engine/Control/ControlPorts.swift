package import Model

/// The way to the devices. Both calls return once the fate of the request is known, or known to be unknown; write and
/// read-back are one transaction on the bus.
package protocol SetpointWriter: Sendable {
    func write(_ write: SetpointWrite) async -> WriteOutcome
    func readBack(_ write: SetpointWrite) async -> ReadBack
    /// Reads a point (`device/point`) now, where its writes are confirmed.
    func look(_ point: String) async -> ReadBack
    /// Writes a sign of life to the watchdog `point` of a device, without reading it back. Returns why it was not taken, in
    /// words; nil when it was.
    func beat(_ point: String, _ value: PointValue) async -> String?
}

/// The way to those who send commands. Calls only hand over: none of them waits for a broker.
package protocol ControlUplink: Sendable {
    func publish(_ message: DeskMessage) async
    /// The message may be acknowledged (PUBACK): it is journaled and synced, or refused for good.
    func acknowledge(_ token: DeliveryToken) async
    /// What became of a decision or an order; nil: done.
    func answer(_ token: DeliveryToken, refusal: DeskRefusal?) async
    /// A fallback is about to be written without an entry: whatever keeps a trace of that must do so now.
    func willWriteUnrecorded(_ write: SetpointWrite) async
}

/// Gathers the readings that an outcome needs, and builds it. Nil when they cannot be had now: it is asked again.
package protocol OutcomeSource: Sendable {
    func outcome(of plan: OutcomePlan) async -> Outcome?
}
