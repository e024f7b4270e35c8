import Engine
import Glibc
import Model
import NIOCore
import NIOPosix

/// Opening and ending the connection.
extension StreamBus {
    func open() async throws(BusError) -> any Channel {
        if let channel, channel.isActive { return channel }
        guard clock.uptime >= mayOpenAt else { throw .linkDown(lastFailure) }
        let attempt = opening ?? connect()
        opening = attempt
        do {
            let opened = try await attempt.get()
            opening = nil
            if channel == nil { adopt(opened) }
            return opened
        } catch {
            opening = nil
            let failure = "cannot connect to \(endpoint): \(Self.words(for: error))"
            if failure != lastFailure {
                trace(failure)
                telling.note(BusNote(.warning, failure))
            }
            lastFailure = failure
            if clock.uptime >= mayOpenAt {
                mayOpenAt = clock.uptime + backoff.failed(jitter: Double.random(in: 0..<1))
            }
            throw .linkDown(lastFailure)
        }
    }

    private func adopt(_ opened: any Channel) {
        channel = opened
        tcpFrames = TCPFrames()
        rtuReply = RTUReply()
        abandoned.removeAll()
        patience.opened(at: clock.uptime)
        echo.opened()
        figures.sessions += 1
        if connection.connectDelay > .zero { quietUntil = max(quietUntil, clock.uptime + connection.connectDelay) }
    }

    private func connect() -> EventLoopFuture<any Channel> {
        let limit = TimeAmount.nanoseconds(connection.connectTimeout.microseconds * 1000)
        return addresses.find(on: loop, within: limit).flatMap { [self] found in
            let nowhere: EventLoopFuture<any Channel> = loop.makeFailedFuture(
                HostAddresses.LookupFailure(description: "the host has no address"))
            return found.reduce(nowhere) { attempt, address in
                attempt.flatMapError { [self] _ in connect(to: address, within: limit) }
            }
        }
    }

    private nonisolated func connect(to address: SocketAddress, within limit: TimeAmount) -> EventLoopFuture<
        any Channel
    > {
        ClientBootstrap(group: loop)
            .connectTimeout(limit)
            .channelOption(.tcpOption(.tcp_nodelay), value: 1)
            .channelOption(.socketOption(.so_keepalive), value: 1)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(StreamHandler(bus: self))
                }
            }
            .connect(to: address)
    }

    func dropChannel() {
        let dropped = channel
        channel = nil
        dropped?.close(promise: nil)
        let reason = "the connection to \(endpoint) was given up after bad or missing answers"
        fail(with: Failure(error: .linkDown(reason), fate: .diedWithConnection))
    }

    func closed(_ closedChannel: any Channel) {
        guard channel === closedChannel else { return }
        channel = nil
        lastFailure = "\(endpoint) closed the connection"
        if let note = closings.closed("\(endpoint)", hadAnswered: patience.hasAnswered) {
            telling.note(BusNote(.notice, note))
        }
        // One that ends each connection at once is not to be hammered either.
        if closings.emptyInARow > 1 { mayOpenAt = clock.uptime + backoff.failed(jitter: Double.random(in: 0..<1)) }
        for (transaction, request) in waiting {
            let words = request.held == nil ? "" : ", after what may be the \(LocalEcho.words)"
            trace(
                "the connection was closed before an answer came\(words)", unit: request.expected.unit,
                transaction: shown(transaction))
        }
        if waiting.isEmpty { trace(lastFailure) }
        fail(with: Failure(error: .linkDown(lastFailure), fate: .diedWithConnection))
    }

    /// Whether the other end has closed the connection, which the channel may not have heard yet.
    func hasBeenClosed(_ channel: any Channel) async -> Bool {
        guard let options = channel as? any SocketOptionProvider, let state = try? await options.getTCPInfo().get()
        else { return false }
        return state.tcpi_state != Self.established
    }

    /// `TCP_ESTABLISHED` of the kernel.
    private static let established: UInt8 = 1

    func fail(with failure: Failure) {
        for transaction in waiting.keys { finish(transaction, with: .failure(failure)) }
    }

    static func words(for error: any Error) -> String {
        if let reason = error as? IOError { return String(cString: strerror(reason.errnoCode)) }
        if case ChannelError.connectTimeout = error { return "no answer within the connect time-out" }
        if let ended = error as? ChannelError, ended == .ioOnClosedChannel { return "the connection had ended" }
        return String(describing: error)
    }
}

/// Hands bytes and the end of a channel to its bus; both are on the channel's event loop.
private final class StreamHandler: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    private let bus: StreamBus

    init(bus: StreamBus) {
        self.bus = bus
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let buffer = unwrapInboundIn(data)
        bus.assumeIsolated { $0.received(buffer) }
    }

    func channelInactive(context: ChannelHandlerContext) {
        let channel = context.channel
        bus.assumeIsolated { $0.closed(channel) }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        context.close(promise: nil)
    }
}
