import Dispatch
import Engine
import Foundation
import Model
import Synchronization

/// Messages on their way in. Its network thread reads a few, then neither reads nor writes until all of them are settled:
/// what the library has queued as their acknowledgements stays in this process until then.
final class Inlet: Sendable {
    private struct State {
        var filters: [String] = []
        /// What this session has asked for.
        var subscribed: [String] = []
        var requests: [Int32: String] = [:]
        /// Bytes of the payloads that the library is about to hand over, as the broker sent them.
        var payloadByteCounts: [Int] = []
        var unsettled: Set<Receipt> = []
        var isGivenBack = false
        var figures = IntakeFigures()
        /// When filters that were refused are asked for again.
        var askAgain: ContinuousClock.Instant?
        /// When anything was last read from the broker.
        var heard = ContinuousClock.now
    }

    /// Receipts of this process, so that one of a connection that was replaced is worth nothing to its successor.
    private static let receipts = Atomic<Receipt>(0)

    /// A filter that the broker refuses is asked for again after this time: the broker may have new rules.
    private static let askAgainPause = Duration.seconds(30)

    let settings: IntakeSettings
    let inbox = Inbox<InboundMessage>()
    private let state = Mutex(State())
    private let changed = DispatchSemaphore(value: 0)
    private let bell: Bell

    init(_ settings: IntakeSettings, bell: Bell) {
        self.settings = settings
        self.bell = bell
    }

    var figures: IntakeFigures { state.withLock { $0.figures } }

    /// How long the broker has said nothing at all.
    var silence: Duration { state.withLock { $0.heard.duration(to: .now) } }

    // MARK: - Any thread

    func subscribe(_ filters: [String]) {
        state.withLock { $0.filters = filters }
        bell.ring()
    }

    func acknowledge(_ receipt: Receipt) {
        settle(receipt) { $0.figures.acknowledged += 1 }
    }

    func giveBack(_ receipt: Receipt) {
        settle(receipt) { state in
            state.isGivenBack = true
            state.figures.returned += 1
        }
    }

    private func settle(_ receipt: Receipt, _ note: (inout State) -> Void) {
        let mayGoOn = state.withLock { state -> Bool in
            guard state.unsettled.remove(receipt) != nil else { return false }
            note(&state)
            return state.unsettled.isEmpty || state.isGivenBack
        }
        if mayGoOn { changed.signal() }
    }

    // MARK: - Network thread

    /// Something was read.
    func noteHeard() { state.withLock { $0.heard = .now } }

    func expect(_ payloadByteCounts: [Int]) {
        guard !payloadByteCounts.isEmpty else { return }
        state.withLock { $0.payloadByteCounts += payloadByteCounts }
    }

    /// Bytes of the payload of the message that the library hands over now, as the broker sent it.
    func takePayloadByteCount() -> Int? {
        state.withLock { $0.payloadByteCounts.isEmpty ? nil : $0.payloadByteCounts.removeFirst() }
    }

    /// A session stands, or is gone: receipts of the last one are worth nothing.
    func sessionChanged() {
        state.withLock { state in
            state.subscribed = []
            state.requests = [:]
            state.payloadByteCounts = []
            state.unsettled = []
            state.isGivenBack = false
            state.figures.refusedFilters = []
            state.askAgain = nil
            state.heard = .now
        }
    }

    /// What this session must still ask for, and what it must no longer.
    func takeSubscriptions() -> (new: [String], old: [String]) {
        state.withLock { state in
            if let time = state.askAgain, time <= .now {
                let refused = state.figures.refusedFilters
                state.subscribed.removeAll { refused.contains($0) }
                state.askAgain = nil
            }
            defer { state.subscribed = state.filters }
            return (
                state.filters.filter { !state.subscribed.contains($0) },
                state.subscribed.filter { !state.filters.contains($0) }
            )
        }
    }

    /// Whether the broker owes an answer to a subscription.
    var isAsking: Bool { state.withLock { !$0.requests.isEmpty } }

    func asked(_ filter: String, messageID: Int32) {
        state.withLock { $0.requests[messageID] = filter }
    }

    func answered(messageID: Int32, isGranted: Bool) {
        state.withLock { state in
            guard let filter = state.requests.removeValue(forKey: messageID) else { return }
            state.figures.refusedFilters.removeAll { $0 == filter }
            guard !isGranted else { return }
            state.figures.refusedFilters.append(filter)
            state.askAgain = state.askAgain ?? .now + Self.askAgainPause
        }
    }

    /// Hands a message over; it is unsettled from now on.
    func received(_ make: (Receipt) -> InboundMessage) {
        let receipt = Self.receipts.add(1, ordering: .relaxed).newValue
        state.withLock { state in
            state.unsettled.insert(receipt)
            state.figures.received += 1
            state.figures.mostUnsettled = max(state.figures.mostUnsettled, state.unsettled.count)
        }
        let message = make(receipt)
        if message.isOversized { state.withLock { $0.figures.oversized += 1 } }
        inbox.post(message)
    }

    var unsettledCount: Int { state.withLock { $0.unsettled.count } }

    enum Settlement {
        case settled, givenBack, overdue, lost, stopped
    }

    /// Waits until everything that was received is settled.
    ///
    /// - Parameter isLost: whether the connection has ended meanwhile; asked now and then.
    func waitUntilSettled(isLost: () -> Bool, isStopping: () -> Bool) -> Settlement {
        let deadline = DispatchTime.now() + .milliseconds(Int(settings.holdTime.milliseconds))
        while true {
            let (isSettled, isGivenBack) = state.withLock { ($0.unsettled.isEmpty, $0.isGivenBack) }
            if isGivenBack { return .givenBack }
            if isSettled { return .settled }
            if isStopping() { return .stopped }
            if isLost() { return .lost }
            if DispatchTime.now() >= deadline {
                state.withLock { $0.figures.overdue += 1 }
                return .overdue
            }
            _ = changed.wait(timeout: min(deadline, .now() + .milliseconds(100)))
        }
    }
}
