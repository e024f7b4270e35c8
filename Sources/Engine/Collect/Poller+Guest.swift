/// Sharing the bus with whoever looks for units on it.
extension Poller {
    /// A guest that held up polls leaves the bus to them for this many times as long.
    private static let restAfterDelay = 3
    private static let guest = -1

    package static let pauseReason = "polls of this connection rest while it is scanned"

    package var isPaused: Bool { pauses > 0 }

    /// Lets `use` send one request, or a few that belong together, between two polls. Polls go first; where they have to
    /// wait the guest gets a quarter of the time.
    ///
    /// A poll that becomes due meanwhile waits for that request, and for no other of the guest: it goes before the next one.
    ///
    /// - Returns: nil when the bus is about to be closed, somebody has the line for itself, or the task is cancelled; nothing
    ///   was sent then.
    package func asGuest<Value: Sendable>(_ use: @Sendable () async -> Value) async -> Value? {
        if guestMayUseAt > clock.uptime { try? await clock.sleep(until: guestMayUseAt) }
        guard !Task.isCancelled else { return nil }
        await takeSlot(Self.guest, .poll)
        guard !isStopped, !isPaused else {
            slots.release(Self.guest, .poll, used: .zero)
            return nil
        }
        let begun = clock.uptime
        let value = await use()
        let used = clock.uptime - begun
        let isHoldingUp = slots.pollsWait || schedule.nextDeadline(busy: busy).map { $0 <= clock.uptime } ?? false
        // What a guest used is no time that polls got.
        slots.release(Self.guest, .poll, used: .zero)
        if isHoldingUp { guestMayUseAt = clock.uptime + used * Self.restAfterDelay }
        return value
    }

    /// Leaves the channel alone, so that somebody else may open it: polls give `bad/out_of_service` and are counted as not
    /// polled, nothing is written. Each call needs its ``resume()``.
    package func pause() async {
        pauses += 1
        await bus.close()
    }

    package func resume() {
        pauses -= 1
    }
}
