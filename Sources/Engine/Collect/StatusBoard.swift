package import Model
import Synchronization

/// How a device is doing, as far as polls can tell.
package enum DeviceState: String, Sendable {
    /// Not polled yet.
    case waiting
    /// The last poll gave good or uncertain values for every point.
    case online
    /// It answers, but not for every point, or it is another device than it should be.
    case degraded
    /// It does not answer, or there is no connection.
    case offline
}

/// What is known about one device.
package struct DeviceStatus: Hashable, Sendable {
    package var state = DeviceState.waiting
    /// Since when it is in this state.
    package var since: UnixTime?
    /// When a value was last read well.
    package var lastGood: UnixTime?
    package var polls: UInt64 = 0
    package var failedPolls: UInt64 = 0
    /// Polls that were skipped because the bus could not keep up.
    package var missedPolls: UInt64 = 0
    /// Requests sent that change something.
    package var writes: UInt64 = 0
    package var timing = PollTiming()
    /// The worst reason of the last poll in words, nil when all was well.
    package var trouble: String?
    /// What went wrong last; it stays when all is well again.
    package var lastFault: DeviceFault?
    /// What was found out about its addresses.
    package var learned = LearnedAddresses()
    /// Whether it is the device that its profile describes.
    package var identity = Identification.State.exempt
    /// Which SunSpec models it holds.
    package var discovery = Discovery.State.none
    /// The last 64 polls, the newest in the least significant bit: 1 is a poll that gave no usable value.
    private var recent: UInt64 = 0

    package init() {}

    /// The last fault, where it is what troubles the device now.
    package var faultOfTrouble: DeviceFault? {
        lastFault.flatMap { $0.reason.code == trouble ? $0 : nil }
    }

    /// Polls that failed among the last 64.
    package var recentlyFailed: Int { recent.nonzeroBitCount }
    /// How many polls ``recentlyFailed`` looks back on.
    package var recentPolls: Int { Int(min(polls, 64)) }

    package mutating func countPoll(failed: Bool) {
        polls += 1
        if failed { failedPolls += 1 }
        recent = recent << 1 | (failed ? 1 : 0)
    }
}

/// The one place where the state of all assets is written down as it happens; everybody else reads copies.
package final class StatusBoard: Sendable {
    private let devices = Mutex<[String: DeviceStatus]>([:])

    package init() {}

    package func status(of device: String) -> DeviceStatus? {
        devices.withLock { $0[device] }
    }

    package var all: [String: DeviceStatus] {
        devices.withLock { $0 }
    }

    package func update(_ device: String, _ change: (inout DeviceStatus) -> Void) {
        devices.withLock { change(&$0[device, default: DeviceStatus()]) }
    }

    package func remove(_ device: String) {
        devices.withLock { $0[device] = nil }
    }
}
