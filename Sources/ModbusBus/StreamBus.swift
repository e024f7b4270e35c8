package import Engine
import Glibc
package import Model
package import NIOCore
import NIOPosix

/// Modbus TCP and RTU over TCP on SwiftNIO, with framing of our own: transaction ids that tell a late reply from the one
/// that is waited for, several requests at once, no limit on descriptors.
///
/// The actor runs on the event loop of its channel, so that a poller that shares its executor changes threads nowhere.
package actor StreamBus: Bus {
    package enum Framing: Sendable {
        case tcp, rtu
    }

    private struct Waiting {
        var expected: Expectation
        var continuation: CheckedContinuation<Result<[UInt8], BusError>, Never>
        var timer: Scheduled<Void>
    }

    package nonisolated let executor: any SerialExecutor
    private let loop: any EventLoop
    private let connection: Connection
    private let endpoint: Endpoint
    let framing: Framing
    private let clock: any Timekeeper
    private var channel: (any Channel)?
    private var opening: EventLoopFuture<any Channel>?
    private var waiting: [UInt16: Waiting] = [:]
    private var lastTransaction: UInt16 = 0
    private var tcpFrames = TCPFrames()
    private var rtuReply = RTUReply()
    private var timeoutsInARow = 0
    private var backoff = ReopenBackoff()
    private var mayOpenAt = Duration.zero
    private var lastFailure = ""
    /// Nothing is sent before: the rest that the connection wants, or the silence after a time-out.
    private var quietUntil = Duration.zero
    package private(set) var figures = BusFigures()

    /// A connection on which so many requests in a row went unanswered is opened anew: it may be half open.
    private static let timeoutsToReopen = 4

    package nonisolated var unownedExecutor: UnownedSerialExecutor {
        executor.asUnownedSerialExecutor()
    }

    package init(
        _ connection: Connection, endpoint: Endpoint, framing: Framing, loop: any EventLoop, clock: any Timekeeper
    ) {
        self.connection = connection
        self.endpoint = endpoint
        self.framing = framing
        self.loop = loop
        self.clock = clock
        executor = loop.executor
    }

    package func read(_ span: RegisterSpan, unit: UInt8, timeout: Duration) async throws(BusError) -> [UInt16] {
        let request = try ReadRequest(span)
        let expected = Expectation(
            unit: unit, function: span.table.readFunction, replyByteCount: request.replyByteCount)
        let reply = try await transact(request.pdu, expected, timeout: timeout)
        do {
            return try request.words(of: reply)
        } catch {
            if case .garbled = error { figures.garbled += 1 }
            throw error
        }
    }

    package func write(
        _ write: RegisterWrite, unit: UInt8, timeout: Duration, session: UInt64?
    ) async throws(WriteFailure) {
        let request = try WriteRequest(write, unit: unit)
        guard framing == .tcp || unit != 0 else { throw .notSent("unit 0 is everybody on a serial line") }
        let channel: any Channel
        do {
            channel = try await readyChannel()
        } catch {
            throw WriteFailure(beforeSending: error)
        }
        guard !Task.isCancelled else { throw .notSent("cancelled") }
        guard session == nil || session == figures.sessions else { throw .openedAnew }
        figures.writes += 1
        let reply: [UInt8]
        do throws(BusError) {
            reply = try await exchange(request.pdu, request.expectation, on: channel, timeout: timeout)
        } catch {
            throw WriteFailure(afterSending: error)
        }
        try request.check(reply)
    }

    package var session: UInt64 { figures.sessions }

    package func close() async {
        fail(with: .linkDown("closed"))
        let closing = channel
        channel = nil
        try? await closing?.close().get()
    }

    // MARK: - Requests

    /// A channel on which something may be sent now. Until it is returned nothing has been sent.
    private func readyChannel() async throws(BusError) -> any Channel {
        let channel = try await open()
        if quietUntil > clock.uptime { try? await clock.sleep(until: quietUntil) }
        guard channel.isActive else { throw .linkDown("\(endpoint) closed the connection") }
        return channel
    }

    func transact(
        _ pdu: [UInt8], _ expected: Expectation, timeout: Duration
    ) async throws(BusError) -> [UInt8] {
        try await exchange(pdu, expected, on: readyChannel(), timeout: timeout)
    }

    /// Sends once, and waits for the answer. Whoever gets an error here cannot know whether the request arrived.
    private func exchange(
        _ pdu: [UInt8], _ expected: Expectation, on channel: any Channel, timeout: Duration
    ) async throws(BusError) -> [UInt8] {
        figures.requests += 1
        let transaction = nextTransaction()
        let bytes: [UInt8]
        switch framing {
        case .tcp: bytes = TCPFrames.frame(transaction: transaction, unit: expected.unit, pdu: pdu)
        case .rtu:
            bytes = RTUReply.frame(unit: expected.unit, pdu: pdu)
            rtuReply.clear()
        }
        let result = await withCheckedContinuation { continuation in
            let timer = loop.scheduleTask(in: .nanoseconds(timeout.microseconds * 1000)) {
                self.assumeIsolated { $0.expired(transaction) }
            }
            waiting[transaction] = Waiting(expected: expected, continuation: continuation, timer: timer)
            channel.writeAndFlush(ByteBuffer(bytes: bytes), promise: nil)
        }
        if connection.pause > .zero { quietUntil = max(quietUntil, clock.uptime + connection.pause) }
        return try result.get()
    }

    private func nextTransaction() -> UInt16 {
        repeat { lastTransaction &+= 1 } while waiting[lastTransaction] != nil
        return lastTransaction
    }

    private func finish(_ transaction: UInt16, with result: Result<[UInt8], BusError>) {
        guard let request = waiting.removeValue(forKey: transaction) else { return }
        request.timer.cancel()
        request.continuation.resume(returning: result)
    }

    private func expired(_ transaction: UInt16) {
        guard let request = waiting.removeValue(forKey: transaction) else { return }
        figures.timeouts += 1
        timeoutsInARow += 1
        var error = BusError.noResponse
        if framing == .rtu {
            if !rtuReply.isEmpty { error = .garbled("bytes that are no reply to the request") }
            // RTU has no transaction id: a late reply must come and go before the next request.
            quietUntil = clock.uptime + connection.timeout
        }
        request.continuation.resume(returning: .failure(error))
        if timeoutsInARow >= Self.timeoutsToReopen { dropChannel() }
    }

    // MARK: - Bytes

    fileprivate func received(_ buffer: ByteBuffer) {
        switch framing {
        case .tcp:
            tcpFrames.append(buffer.readableBytesView)
            takeFrames()
        case .rtu:
            guard let (transaction, request) = waiting.first else {
                figures.strays += 1
                return
            }
            rtuReply.append(buffer.readableBytesView)
            guard let reply = rtuReply.reply(to: request.expected) else { return }
            timeoutsInARow = 0
            finish(transaction, with: .success(reply))
        }
    }

    private func takeFrames() {
        do throws(BusError) {
            while let frame = try tcpFrames.next() { take(frame) }
        } catch {
            figures.garbled += 1
            fail(with: error)
            dropChannel()
        }
    }

    /// A frame is an answer only if transaction, unit and function are those of a request under way.
    private func take(_ frame: TCPFrames.Frame) {
        guard let request = waiting[frame.transaction], request.expected.unit == frame.unit else {
            figures.strays += 1
            return
        }
        timeoutsInARow = 0
        finish(frame.transaction, with: .success(frame.pdu))
    }

    // MARK: - Channel

    private func open() async throws(BusError) -> any Channel {
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
            lastFailure = "cannot connect to \(endpoint): \(Self.words(for: error))"
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
        timeoutsInARow = 0
        figures.sessions += 1
        backoff.opened()
    }

    private func connect() -> EventLoopFuture<any Channel> {
        ClientBootstrap(group: loop)
            .connectTimeout(.nanoseconds(connection.connectTimeout.microseconds * 1000))
            .channelOption(.tcpOption(.tcp_nodelay), value: 1)
            .channelOption(.socketOption(.so_keepalive), value: 1)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(StreamHandler(bus: self))
                }
            }
            .connect(host: endpoint.host, port: endpoint.port)
    }

    private func dropChannel() {
        let dropped = channel
        channel = nil
        dropped?.close(promise: nil)
        fail(with: .linkDown("the connection to \(endpoint) was given up after bad or missing answers"))
    }

    fileprivate func closed(_ closedChannel: any Channel) {
        guard channel === closedChannel else { return }
        channel = nil
        lastFailure = "\(endpoint) closed the connection"
        fail(with: .linkDown(lastFailure))
    }

    private func fail(with error: BusError) {
        for transaction in waiting.keys { finish(transaction, with: .failure(error)) }
    }

    private static func words(for error: any Error) -> String {
        if let failure = error as? NIOConnectionError {
            if let reason = failure.connectionErrors.first?.error as? IOError { return words(for: reason) }
            if failure.dnsAError != nil || failure.dnsAAAAError != nil { return "the host name is not known" }
        }
        if let reason = error as? IOError { return String(cString: strerror(reason.errnoCode)) }
        if case ChannelError.connectTimeout = error { return "no answer within the connect time-out" }
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
