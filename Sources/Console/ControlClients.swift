import NIOCore
import Synchronization

/// Who is connected to the local socket, and how many jobs run for them: both have a limit, what is refused at it is counted.
package final class ControlClients: Sendable {
    /// What was turned away since the start.
    package struct Figures: Hashable, Sendable {
        package var clients = 0
        package var jobs = 0
        package var refusedClients: UInt64 = 0
        package var refusedJobs: UInt64 = 0
        /// Clients that asked nothing, or did not take their answers.
        package var idleClients: UInt64 = 0
        /// Requests longer than ``ControlProtocol/requestLimit``.
        package var longRequests: UInt64 = 0
    }

    private struct Client {
        var channel: any Channel
        /// Nil while it waits for an answer.
        var idleSince: NIODeadline?
    }

    private struct State {
        var clients: [ObjectIdentifier: Client] = [:]
        var figures = Figures()
    }

    private let state = Mutex(State())

    package init() {}

    package var figures: Figures {
        state.withLock { state in
            var figures = state.figures
            figures.clients = state.clients.count
            return figures
        }
    }

    /// Takes a client in. Where all places are taken, the client leaves that has asked nothing for longest.
    ///
    /// - Returns: false where no place can be had.
    func enter(_ channel: any Channel) -> Bool {
        let now = NIODeadline.now()
        let (isIn, idle) = state.withLock { state -> (Bool, (any Channel)?) in
            var leaving: (any Channel)?
            if state.clients.count >= ControlProtocol.clientLimit {
                let idle = state.clients.filter { now - ($0.value.idleSince ?? now) >= ControlProtocol.graceTime }
                guard let longest = idle.min(by: { $0.value.idleSince ?? now < $1.value.idleSince ?? now }) else {
                    state.figures.refusedClients += 1
                    return (false, nil)
                }
                leaving = longest.value.channel
                state.clients[longest.key] = nil
                state.figures.idleClients += 1
            }
            state.clients[ObjectIdentifier(channel)] = Client(channel: channel, idleSince: now)
            return (true, leaving)
        }
        idle.map { Self.close($0, saying: ControlProtocol.makingRoom) }
        return isIn
    }

    func leave(_ channel: any Channel) {
        state.withLock { $0.clients[ObjectIdentifier(channel)] = nil }
    }

    /// Notes whether a client waits for an answer.
    func note(_ channel: any Channel, isWaiting: Bool) {
        state.withLock { $0.clients[ObjectIdentifier(channel)]?.idleSince = isWaiting ? nil : NIODeadline.now() }
    }

    /// Nothing was read from the client and nothing written to it for ``ControlProtocol/idleTime``: it leaves, unless it
    /// waits for an answer and takes what is written.
    func isQuiet(_ channel: any Channel) {
        let leaves = state.withLock { state in
            let isWaiting = state.clients[ObjectIdentifier(channel)].map { $0.idleSince == nil } ?? false
            if isWaiting, channel.isWritable { return false }
            state.figures.idleClients += 1
            return true
        }
        if leaves { Self.close(channel, saying: ControlProtocol.idle) }
    }

    func noteLongRequest() {
        state.withLock { $0.figures.longRequests += 1 }
    }

    /// - Returns: false where ``ControlProtocol/jobLimit`` jobs run already.
    func beginJob() -> Bool {
        state.withLock { state in
            guard state.figures.jobs < ControlProtocol.jobLimit else {
                state.figures.refusedJobs += 1
                return false
            }
            state.figures.jobs += 1
            return true
        }
    }

    func endJob() {
        state.withLock { $0.figures.jobs -= 1 }
    }

    private static func close(_ channel: any Channel, saying line: [UInt8]) {
        channel.writeAndFlush(ByteBuffer(bytes: line + [UInt8(ascii: "\n")]), promise: nil)
        channel.close(promise: nil)
    }
}
