package import Engine
import Synchronization

/// A broker that does what the test says and keeps the list of everything that was published to it.
package final class FakeUplink: Uplink {
    /// A message as it was handed over.
    package struct Publish: Hashable, Sendable {
        package var token: PublishToken
        package var message: OutboundMessage
    }

    private struct State {
        var isConnected = false
        var isClosed = false
        var acknowledgesAtOnce = false
        var publishes: [Publish] = []
        var events: [UplinkEvent] = []
        var reader: CheckedContinuation<[UplinkEvent]?, Never>?
    }

    private let state = Mutex(State())

    package init() {}

    package var publishes: [Publish] { state.withLock { $0.publishes } }
    package var tokens: [PublishToken] { publishes.map(\.token) }

    /// Whether every publish is acknowledged as soon as it is made.
    package func acknowledgeAtOnce(_ isOn: Bool = true) {
        state.withLock { $0.acknowledgesAtOnce = isOn }
    }

    /// - Parameter packetLimit: what the broker says it takes at most.
    package func connect(packetLimit: Int? = nil) {
        state.withLock { $0.isConnected = true }
        tell([.connected(packetLimit: packetLimit, receiveMaximum: nil)])
    }

    package func disconnect(_ reason: String = "the test pulled the plug") {
        state.withLock { $0.isConnected = false }
        tell([.disconnected(reason)])
    }

    package func acknowledge(_ tokens: [PublishToken]) {
        tell(tokens.map { .outcome($0, .acknowledged) })
    }

    package func refuse(_ token: PublishToken, _ code: UInt8) {
        tell([.outcome(token, .refused(code))])
    }

    package func nextEvents() async -> [UplinkEvent]? {
        await withTaskCancellationHandler {
            await withCheckedContinuation { wait($0) }
        } onCancel: {
            let reader = state.withLock { state in
                defer { state.reader = nil }
                return state.reader
            }
            reader?.resume(returning: [])
        }
    }

    package func publish(_ message: OutboundMessage, token: PublishToken) throws(UplinkError) {
        let acknowledges: Bool? = state.withLock { state in
            guard state.isConnected else { return nil }
            state.publishes.append(Publish(token: token, message: message))
            return state.acknowledgesAtOnce
        }
        guard let acknowledges else { throw .notConnected }
        if acknowledges { acknowledge([token]) }
    }

    package func reset(_ reason: String) {
        disconnect(reason)
    }

    package func close() async {
        let reader = state.withLock { state in
            defer { state.reader = nil }
            state.isClosed = true
            state.isConnected = false
            return state.reader
        }
        reader?.resume(returning: nil)
    }

    private func wait(_ continuation: CheckedContinuation<[UplinkEvent]?, Never>) {
        let events: [UplinkEvent]?? = state.withLock { state in
            if !state.events.isEmpty || Task.isCancelled {
                defer { state.events = [] }
                return state.events
            }
            if state.isClosed { return .some(nil) }
            state.reader = continuation
            return nil
        }
        if let events { continuation.resume(returning: events) }
    }

    private func tell(_ events: [UplinkEvent]) {
        let ready = state.withLock { state -> (CheckedContinuation<[UplinkEvent]?, Never>, [UplinkEvent])? in
            state.events += events
            guard let reader = state.reader else { return nil }
            defer { (state.reader, state.events) = (nil, []) }
            return (reader, state.events)
        }
        ready?.0.resume(returning: ready?.1)
    }
}
