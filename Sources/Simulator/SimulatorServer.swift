/// A running Modbus server of simulated units, on a thread of its own.
package protocol SimulatorServer: Sendable {
    var faults: FaultPlan { get }

    /// Ends the thread and closes everything; returns within about 100 ms.
    func stop()
}

/// Why a simulator cannot start, in words that say what to do.
package struct SimulatorError: Error, CustomStringConvertible {
    package var description: String

    init(_ description: String) {
        self.description = description
    }
}
