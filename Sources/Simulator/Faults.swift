import Model
import Synchronization

/// How a simulated device misbehaves.
package enum Fault: Hashable, Sendable {
    /// Answers every request with this exception code.
    case exception(UInt8)
    /// Answers late.
    case delay(Duration)
    /// Does not answer.
    case silence
    /// Refuses to give more registers or bits than this by one request (exception 03).
    case most(Int)
    /// Closes the connection instead of answering (TCP only; on a serial line like silence).
    case drop
    /// Takes writes only within what the points declare, acknowledging everything.
    case clamp
    /// Acknowledges writes and ignores them.
    case deafWrites
    /// Does what it is told and does not acknowledge it.
    case muteWrites

    /// Reads `exception:4`, `delay:300ms`, `most:32`, `silence`, `drop`, `clamp`, `deaf`, `mute`; nil for anything else.
    package init?(_ text: String) {
        let parts = text.split(separator: ":", maxSplits: 1)
        switch (parts.first, parts.count) {
        case ("silence", 1): self = .silence
        case ("drop", 1): self = .drop
        case ("clamp", 1): self = .clamp
        case ("deaf", 1): self = .deafWrites
        case ("mute", 1): self = .muteWrites
        case ("exception", 2):
            guard let code = UInt8(parts[1], in: 1...11) else { return nil }
            self = .exception(code)
        case ("most", 2):
            guard let limit = Int(parts[1], in: 1...2000) else { return nil }
            self = .most(limit)
        case ("delay", 2):
            guard parts[1].hasSuffix("ms"), let milliseconds = Int(parts[1].dropLast(2), in: 0...60_000)
            else { return nil }
            self = .delay(.milliseconds(milliseconds))
        default: return nil
        }
    }
}

/// The faults of the units of one server, switchable while it runs.
package final class FaultPlan: Sendable {
    private let faults = Mutex<[UInt8: Fault]>([:])

    package init() {}

    package func set(_ fault: Fault?, unit: UInt8) {
        faults.withLock { $0[unit] = fault }
    }

    package func fault(of unit: UInt8) -> Fault? {
        faults.withLock { $0[unit] }
    }
}
