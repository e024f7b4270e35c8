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
        /// For the trace: the request, and when it left.
        var pdu: [UInt8]
        var sent: Duration
        var timeout: Duration
        /// Whether it is not known that the unit exists.
        var isSeeking: Bool
        var continuation: CheckedContinuation<Result<[UInt8], BusError>, Never>
        var timer: Scheduled<Void>
    }

    private struct Answer {
        var pdu: [UInt8]
        /// From sending to its last byte.
        var duration: Duration
    }

    package nonisolated let executor: any SerialExecutor & TaskExecutor
    private let loop: any EventLoop
    private let connection: Connection
    private let endpoint: Endpoint
    private let addresses: HostAddresses
    let framing: Framing
    private let clock: any Timekeeper
    private let telling: BusTelling
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
    /// For RTU only.
    private var late: LateReplies
    package private(set) var figures = BusFigures()

    /// A connection on which so many requests in a row went unanswered is opened anew: it may be half open.
    private static let timeoutsToReopen = 4

    package nonisolated var unownedExecutor: UnownedSerialExecutor {
        executor.asUnownedSerialExecutor()
    }

    package init(
        _ connection: Connection, endpoint: Endpoint, framing: Framing, loop: any EventLoop, clock: any Timekeeper,
        telling: BusTelling = BusTelling()
    ) {
        self.connection = connection
        self.endpoint = endpoint
        addresses = HostAddresses(host: endpoint.host, port: endpoint.port)
        self.framing = framing
        self.loop = loop
        self.clock = clock
        self.telling = telling
        late = LateReplies(limit: connection.timeout)
        executor = LoopExecutor(loop: loop)
    }

    package func read(_ span: RegisterSpan, unit: UInt8, timeout: Duration) async throws(BusError) -> [UInt16] {
        try await timedRead(span, unit: unit, timeout: timeout).words
    }

    package func timedRead(_ span: RegisterSpan, unit: UInt8, timeout: Duration) async throws(BusError) -> BusReply {
        let request = try ReadRequest(span)
        let expected = Expectation(
            unit: unit, function: span.table.readFunction, replyByteCount: request.replyByteCount)
        let reply = try await exchange(request.pdu, expected, on: readyChannel(for: unit), timeout: timeout)
        do {
            return BusReply(words: try request.words(of: reply.pdu), duration: reply.duration)
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
            channel = try await readyChannel(for: unit)
        } catch {
            throw WriteFailure(beforeSending: error)
        }
        guard !Task.isCancelled else { throw .notSent("cancelled") }
        guard session == nil || session == figures.sessions else { throw .openedAnew }
        figures.writes += 1
        let reply: [UInt8]
        do throws(BusError) {
            reply = try await exchange(request.pdu, request.expectation, on: channel, timeout: timeout).pdu
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
    private func readyChannel(for unit: UInt8) async throws(BusError) -> any Channel {
        let channel = try await open()
        await rest(until: max(quietUntil, late.quietUntil(unit)))
        guard channel.isActive else { throw .linkDown("\(endpoint) closed the connection") }
        return channel
    }

    func transact(
        _ pdu: [UInt8], _ expected: Expectation, timeout: Duration, isSeeking: Bool = false
    ) async throws(BusError) -> [UInt8] {
        try await exchange(
            pdu, expected, on: readyChannel(for: expected.unit), timeout: timeout, isSeeking: isSeeking
        ).pdu
    }

    private func rest(until moment: Duration) async {
        if moment > clock.uptime { try? await clock.sleep(until: moment) }
    }

    /// Sends once, and waits for the answer. Whoever gets an error here cannot know whether the request arrived.
    private func exchange(
        _ pdu: [UInt8], _ expected: Expectation, on channel: any Channel, timeout: Duration, isSeeking: Bool = false
    ) async throws(BusError) -> Answer {
        figures.requests += 1
        let transaction = nextTransaction()
        let bytes: [UInt8]
        switch framing {
        case .tcp: bytes = TCPFrames.frame(transaction: transaction, unit: expected.unit, pdu: pdu)
        case .rtu:
            bytes = RTUReply.frame(unit: expected.unit, pdu: pdu)
            rtuReply.clear()
        }
        telling.trace.tell(
            TraceEvent(
                time: clock.utc, kind: .sent, unit: expected.unit, transaction: shown(transaction), request: pdu,
                raw: bytes))
        let sent = clock.uptime
        let result = await withCheckedContinuation { continuation in
            let timer = loop.scheduleTask(in: .nanoseconds(timeout.microseconds * 1000)) {
                self.assumeIsolated { $0.expired(transaction) }
            }
            waiting[transaction] = Waiting(
                expected: expected, pdu: pdu, sent: sent, timeout: timeout, isSeeking: isSeeking,
                continuation: continuation, timer: timer)
            channel.writeAndFlush(ByteBuffer(bytes: bytes), promise: nil)
        }
        let duration = clock.uptime - sent
        if connection.pause > .zero { quietUntil = max(quietUntil, clock.uptime + connection.pause) }
        if framing == .rtu {
            // What the silence after a time-out costs is part of what the request cost.
            if case .failure = result {
                await rest(until: quietUntil)
            } else {
                late.answered(by: expected.unit, after: duration)
            }
        }
        return Answer(pdu: try result.get(), duration: duration)
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

    /// RTU has no transaction ids: ours are nothing to be seen there.
    private func shown(_ transaction: UInt16) -> UInt16? { framing == .tcp ? transaction : nil }

    private func traceAnswer(_ transaction: UInt16, _ request: Waiting, _ reply: [UInt8]) {
        guard telling.trace.isOn else { return }
        let unit = request.expected.unit
        let raw =
            framing == .tcp
            ? TCPFrames.frame(transaction: transaction, unit: unit, pdu: reply)
            : RTUReply.frame(unit: unit, pdu: reply)
        telling.trace.tell(
            TraceEvent(
                time: clock.utc, kind: .answered(after: clock.uptime - request.sent), unit: unit,
                transaction: shown(transaction), request: request.pdu, reply: reply, raw: raw))
    }

    private func trace(_ remark: String, unit: UInt8? = nil, transaction: UInt16? = nil, _ raw: [UInt8] = []) {
        telling.trace.tell(
            TraceEvent(time: clock.utc, kind: .remark(remark), unit: unit, transaction: transaction, raw: raw))
    }

    private func expired(_ transaction: UInt16) {
        guard let request = waiting.removeValue(forKey: transaction) else { return }
        let unanswered = rtuReply.isEmpty ? "no answer in time" : "no answer in time, but \(rtuReply.bytes.count) bytes"
        trace(unanswered, unit: request.expected.unit, transaction: shown(transaction), rtuReply.bytes)
        figures.timeouts += 1
        if !request.isSeeking { timeoutsInARow += 1 }
        var error = BusError.noResponse
        if framing == .rtu {
            if !rtuReply.isEmpty { error = .garbled("bytes that are no reply to the request") }
            // RTU has no transaction id: a late reply must come and go before the next request.
            late.missed(request.expected.unit, at: clock.uptime)
            quietUntil = clock.uptime + late.silence(after: request.timeout, at: clock.uptime)
        }
        request.continuation.resume(returning: .failure(error))
        if !request.isSeeking, timeoutsInARow >= Self.timeoutsToReopen { dropChannel() }
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
                late.strayed(byteCount: buffer.readableBytes, at: clock.uptime)
                trace(
                    "a late reply or noise was dropped: \(buffer.readableBytes) bytes", Array(buffer.readableBytesView))
                return
            }
            rtuReply.append(buffer.readableBytesView)
            guard let reply = rtuReply.reply(to: request.expected) else { return }
            timeoutsInARow = 0
            traceAnswer(transaction, request, reply)
            finish(transaction, with: .success(reply))
        }
    }

    private func takeFrames() {
        do throws(BusError) {
            while let frame = try tcpFrames.next() { take(frame) }
        } catch {
            figures.garbled += 1
            trace("not Modbus TCP: the connection is given up")
            fail(with: error)
            dropChannel()
        }
    }

    /// A frame is an answer only if transaction, unit and function are those of a request under way.
    private func take(_ frame: TCPFrames.Frame) {
        guard let request = waiting[frame.transaction], request.expected.unit == frame.unit else {
            figures.strays += 1
            traceStray(frame)
            return
        }
        timeoutsInARow = 0
        traceAnswer(frame.transaction, request, frame.pdu)
        finish(frame.transaction, with: .success(frame.pdu))
    }

    private func traceStray(_ frame: TCPFrames.Frame) {
        let reason =
            waiting[frame.transaction].map {
                "a reply from unit \(frame.unit) instead of \($0.expected.unit) was dropped"
            }
            ?? "a late reply, or one to nobody's request, was dropped"
        trace(
            reason, unit: frame.unit, transaction: frame.transaction,
            TCPFrames.frame(transaction: frame.transaction, unit: frame.unit, pdu: frame.pdu))
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
        timeoutsInARow = 0
        figures.sessions += 1
        backoff.opened()
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
