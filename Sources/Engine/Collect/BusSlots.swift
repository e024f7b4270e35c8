/// Places on the wire: as many as requests may be under way at once. Whoever is urgent goes first, at the next frame
/// boundary; a transaction has its device for itself until it ends; and however many commands come, polls that wait for
/// them get a quarter of the time. A pure machine but for the continuations it wakes.
struct BusSlots {
    enum Claim: Hashable {
        /// One request of a poll.
        case poll
        /// One request ahead of all polls.
        case urgent
        /// Several requests that nothing comes between: no other request to the device is under way, or goes out before
        /// the end.
        case transaction
    }

    private struct Waiter {
        var device: Int
        var claim: Claim
        /// Whether it has its device already and only wants a place.
        var isResuming = false
        var continuation: CheckedContinuation<Void, Never>
    }

    private var free: Int
    private var underWay: [Int: Int] = [:]
    private var reserved: Set<Int> = []
    /// Devices of transactions that wait for the device and have given their place away.
    private(set) var suspended: Set<Int> = []
    private var urgent: [Waiter] = []
    private var polls: [Waiter] = []
    private var watchers: [CheckedContinuation<Void, Never>] = []
    /// Time that urgent ones took while polls waited, less what polls got back for it.
    private var debt = Duration.zero

    /// Urgent ones may take this many times as long as the polls that wait for them.
    static let urgentShare = 3
    /// More is not remembered: a command never waits longer than a third of it for polls that were held up.
    static let longestDebt = Duration.seconds(1)

    init(count: Int) {
        free = count
    }

    /// Transactions and urgent requests that wait or are under way.
    var urgentCount: Int { urgent.count + reserved.count }

    /// Whether a poll waits for a place.
    var pollsWait: Bool { !polls.isEmpty }

    /// Takes a place if one can be had now. Nobody who waits could use it: they would have it already.
    mutating func takeIfFree(_ device: Int, _ claim: Claim) -> Bool {
        guard free > 0, mayStart(device, claim) else { return false }
        if claim == .poll, urgent.contains(where: { $0.device == device && $0.claim == .transaction }) { return false }
        take(device, claim)
        return true
    }

    /// Wakes `continuation` once it has a place; looks again first, for one may have become free before the wait began.
    mutating func wait(_ device: Int, _ claim: Claim, _ continuation: CheckedContinuation<Void, Never>) {
        if takeIfFree(device, claim) { return continuation.resume() }
        let waiter = Waiter(device: device, claim: claim, continuation: continuation)
        if claim == .poll { polls.append(waiter) } else { urgent.append(waiter) }
    }

    /// Gives a place back after it was `used` for so long.
    mutating func release(_ device: Int, _ claim: Claim, used: Duration) {
        if claim == .poll {
            debt = max(.zero, debt - used * Self.urgentShare)
        } else if !polls.isEmpty {
            debt = min(debt + used, Self.longestDebt)
        }
        leave(device)
        if claim == .transaction { reserved.remove(device) }
        wake()
    }

    // MARK: - Transactions that wait

    /// A transaction gives its place away while its device does what it was told, and keeps the device.
    mutating func suspend(_ device: Int) {
        suspended.insert(device)
        leave(device)
        wake()
    }

    /// - Returns: false when there is no place; then ``wait(resuming:_:)``.
    mutating func resumeIfFree(_ device: Int) -> Bool {
        suspended.remove(device)
        guard free > 0 else { return false }
        enter(device)
        return true
    }

    mutating func wait(resuming device: Int, _ continuation: CheckedContinuation<Void, Never>) {
        if resumeIfFree(device) { return continuation.resume() }
        urgent.insert(Waiter(device: device, claim: .transaction, isResuming: true, continuation: continuation), at: 0)
    }

    /// Wakes `continuation` once no transaction is under way or waits.
    mutating func whenIdle(_ continuation: CheckedContinuation<Void, Never>) {
        watchers.append(continuation)
        wake()
    }

    // MARK: - Order

    private func mayStart(_ device: Int, _ claim: Claim) -> Bool {
        !reserved.contains(device) && (claim != .transaction || underWay[device] == nil)
    }

    private func mayStart(_ waiter: Waiter) -> Bool {
        waiter.isResuming || mayStart(waiter.device, waiter.claim)
    }

    private mutating func wake() {
        while free > 0, let continuation = takeNext() { continuation.resume() }
        guard urgentCount == 0 else { return }
        for watcher in watchers { watcher.resume() }
        watchers = []
    }

    private mutating func takeNext() -> CheckedContinuation<Void, Never>? {
        let poll = polls.firstIndex(where: mayStart)
        let next = urgent.firstIndex(where: mayStart)
        if let poll, next == nil || (debt > .zero && next.map { urgent[$0].isResuming } == false) {
            let waiter = polls.remove(at: poll)
            take(waiter.device, waiter.claim)
            return waiter.continuation
        }
        guard let next else { return nil }
        let waiter = urgent.remove(at: next)
        if waiter.isResuming { enter(waiter.device) } else { take(waiter.device, waiter.claim) }
        return waiter.continuation
    }

    private mutating func take(_ device: Int, _ claim: Claim) {
        enter(device)
        if claim == .transaction { reserved.insert(device) }
    }

    private mutating func enter(_ device: Int) {
        free -= 1
        underWay[device, default: 0] += 1
    }

    private mutating func leave(_ device: Int) {
        free += 1
        let left = (underWay[device] ?? 1) - 1
        underWay[device] = left > 0 ? left : nil
    }
}
