import Synchronization

/// Where whoever wants to see a channel listens. Nobody listening costs the bus one branch a request.
package final class TraceTap: Sendable {
    private let isListenedTo = Atomic<Bool>(false)
    private let listeners = Mutex<[ObjectIdentifier: TraceListener]>([:])

    package init() {}

    package var isOn: Bool { isListenedTo.load(ordering: .relaxed) }

    /// Begins to listen, until ``end(_:)``.
    package func listen() -> TraceListener {
        let listener = TraceListener()
        listeners.withLock {
            $0[ObjectIdentifier(listener)] = listener
            isListenedTo.store(true, ordering: .relaxed)
        }
        return listener
    }

    package func end(_ listener: TraceListener) {
        listeners.withLock {
            $0[ObjectIdentifier(listener)] = nil
            isListenedTo.store(!$0.isEmpty, ordering: .relaxed)
        }
        listener.end()
    }

    /// - Parameter event: is only made where somebody listens.
    func tell(_ event: @autoclosure () -> TraceEvent) {
        guard isOn else { return }
        let event = event()
        listeners.withLock { for listener in $0.values { listener.take(event) } }
    }
}

/// Keeps events until they are fetched. A slow reader loses the newest ones and is told how many.
package final class TraceListener: Sendable {
    private struct Kept {
        var events: [TraceEvent] = []
        var lost = 0
    }

    /// Events that wait at most.
    static let limit = 1000

    private let kept = Mutex(Kept())
    private let bell: AsyncStream<Void>
    private let ring: AsyncStream<Void>.Continuation

    init() {
        (bell, ring) = AsyncStream.makeStream(of: Void.self, bufferingPolicy: .bufferingNewest(1))
    }

    func take(_ event: TraceEvent) {
        kept.withLock { if $0.events.count < Self.limit { $0.events.append(event) } else { $0.lost += 1 } }
        ring.yield()
    }

    func end() {
        ring.finish()
    }

    /// What came since the last call; waits while nothing has. One reader at a time.
    ///
    /// - Returns: nil once it has ended or the task is cancelled, and everything is fetched. `lost` events came after
    ///   `events` and are not in them.
    package func next() async -> (events: [TraceEvent], lost: Int)? {
        while true {
            if let batch = fetch() { return batch }
            var bells = bell.makeAsyncIterator()
            guard await bells.next() != nil else { return fetch() }
        }
    }

    private func fetch() -> (events: [TraceEvent], lost: Int)? {
        let batch = kept.withLock { kept in
            defer { kept = Kept() }
            return kept
        }
        return batch.events.isEmpty ? nil : (batch.events, batch.lost)
    }
}
