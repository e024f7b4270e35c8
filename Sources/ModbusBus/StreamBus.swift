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

    struct Waiting {
        var expected: Expectation
        /// For the trace: the request, and when it left.
        var pdu: [UInt8]
        var sent: Duration
        var timeout: Duration
        /// Whether it is not known that the unit exists.
        var isSeeking: Bool
        /// Requests that were under way when it was sent.
        var company: Int
        /// A valid answer that may be the echo of the request.
        var held: [UInt8]?
        /// What came in its place and was dropped, in words.
        var objection: String?
        var continuation: CheckedContinuation<Result<[UInt8], Failure>, Never>
        var timer: Scheduled<Void>
    }

    /// How a request ended without an answer, and what that allows.
    struct Failure: Error {
        var error: BusError
        var fate = Fate.unanswered

        enum Fate {
            case unanswered
            /// The connection ended while it was under way.
            case diedWithConnection
            /// None of its bytes left this machine.
            case neverLeft
        }
    }

    private struct Answer {
        var pdu: [UInt8]
        /// From sending to its last byte.
        var duration: Duration
    }

    package nonisolated let executor: any SerialExecutor & TaskExecutor
    let loop: any EventLoop
    let connection: Connection
    let endpoint: Endpoint
    let addresses: HostAddresses
    let framing: Framing
    let clock: any Timekeeper
    let telling: BusTelling
    var channel: (any Channel)?
    var opening: EventLoopFuture<any Channel>?
    var waiting: [UInt16: Waiting] = [:]
    private var lastTransaction: UInt16 = 0
    /// Transactions that were given up: their answers may still come.
    var abandoned: Set<UInt16> = []
    var tcpFrames = TCPFrames()
    var rtuReply = RTUReply()
    var patience = SessionPatience()
    var closings = ClosingCount()
    var backoff = ReopenBackoff()
    var mayOpenAt = Duration.zero
    var lastFailure = ""
    /// Nothing is sent before: the rest that the connection wants, or the silence after a time-out.
    var quietUntil = Duration.zero
    /// For RTU only.
    var late: LateReplies
    var echo = LocalEcho()
    /// The last request that was answered by what may have been its echo, as it was on the wire.
    var lastEqual: [UInt8] = []
    var company = CompanyWatch()
    /// What was seen instead of the last answer of a unit, in words.
    var remarks: [UInt8: String] = [:]
    var hasAdvisedDelay = false
    package internal(set) var figures = BusFigures()

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
        let reply = try await ask(request.pdu, expected, timeout: timeout)
        do {
            return BusReply(words: try request.words(of: reply.pdu), duration: reply.duration)
        } catch {
            switch error {
            case .garbled, .mismatch: figures.garbled += 1
            case .linkDown, .noResponse, .refused, .invalidRequest: break
            }
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
            channel = try await writableChannel(for: unit)
        } catch {
            throw WriteFailure(beforeSending: error)
        }
        guard !Task.isCancelled else { throw .notSent("cancelled") }
        guard session == nil || session == figures.sessions else { throw .openedAnew }
        figures.writes += 1
        let result = await exchange(request.pdu, request.expectation, on: channel, timeout: timeout, isWrite: true)
        switch result {
        case .success(let answer): try request.check(answer.pdu)
        case .failure(let failure) where failure.fate == .neverLeft: throw WriteFailure(beforeSending: failure.error)
        case .failure(let failure): throw WriteFailure(afterSending: failure.error)
        }
    }

    package var session: UInt64 { figures.sessions }

    package func close() async {
        fail(with: Failure(error: .linkDown("closed")))
        let closing = channel
        channel = nil
        try? await closing?.close().get()
    }

    package var channelNote: String? { echo.knowledge == .present ? LocalEcho.advice : nil }

    package func remark(on unit: UInt8) -> String? { remarks[unit] }

    // MARK: - Requests

    /// A channel on which something may be sent now. Until it is returned nothing has been sent.
    private func readyChannel(for unit: UInt8) async throws(BusError) -> any Channel {
        let channel = try await open()
        await rest(until: max(quietUntil, late.quietUntil(unit)))
        if channel.isActive { return channel }
        // It ended while the gateway waited: nothing was sent on it.
        let another = try await open()
        await rest(until: quietUntil)
        guard another.isActive else { throw .linkDown("\(endpoint) closed the connection") }
        return another
    }

    /// The same, and not one that the other end has closed already: the other end does not read what is sent there.
    private func writableChannel(for unit: UInt8) async throws(BusError) -> any Channel {
        let channel = try await readyChannel(for: unit)
        guard await hasBeenClosed(channel) else { return channel }
        closed(channel)
        channel.close(promise: nil)
        return try await readyChannel(for: unit)
    }

    func transact(
        _ pdu: [UInt8], _ expected: Expectation, timeout: Duration, isSeeking: Bool = false
    ) async throws(BusError) -> [UInt8] {
        try await ask(pdu, expected, timeout: timeout, isSeeking: isSeeking).pdu
    }

    private func rest(until moment: Duration) async {
        if moment > clock.uptime { try? await clock.sleep(until: moment) }
    }

    /// Asks something that changes nothing: once more where the connection ended meanwhile, on a new one and within the time
    /// that the answer may take.
    private func ask(
        _ pdu: [UInt8], _ expected: Expectation, timeout: Duration, isSeeking: Bool = false
    ) async throws(BusError) -> Answer {
        let channel = try await readyChannel(for: expected.unit)
        let begun = clock.uptime
        let first = await exchange(pdu, expected, on: channel, timeout: timeout, isSeeking: isSeeking)
        guard case .failure(let failure) = first, failure.fate != .unanswered, !Task.isCancelled else {
            return try first.mapError(\.error).get()
        }
        let another = try await readyChannel(for: expected.unit)
        let left = begun + timeout + connection.connectDelay - clock.uptime
        guard left > .zero else { throw failure.error }
        trace("sent once more on a new connection", unit: expected.unit)
        return try await exchange(pdu, expected, on: another, timeout: min(left, timeout), isSeeking: isSeeking)
            .mapError(\.error).get()
    }

    /// Sends once, and waits for the answer. After a failure it is not known whether the request arrived, except where its
    /// fate says so.
    private func exchange(
        _ pdu: [UInt8], _ expected: Expectation, on channel: any Channel, timeout: Duration, isSeeking: Bool = false,
        isWrite: Bool = false
    ) async -> Result<Answer, Failure> {
        figures.requests += 1
        let transaction = nextTransaction()
        let bytes = frame(pdu, expected, transaction)
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
                company: waiting.count, continuation: continuation, timer: timer)
            send(bytes, on: channel, transaction, isWrite: isWrite)
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
        return result.map { Answer(pdu: $0, duration: duration) }
    }

    private func frame(_ pdu: [UInt8], _ expected: Expectation, _ transaction: UInt16) -> [UInt8] {
        switch framing {
        case .tcp:
            if waiting.isEmpty, !tcpFrames.isEmpty { clearFrames() }
            return TCPFrames.frame(transaction: transaction, unit: expected.unit, pdu: pdu)
        case .rtu:
            rtuReply.clear()
            return RTUReply.frame(unit: expected.unit, pdu: pdu)
        }
    }

    /// Where it must be known that nothing left, the write is watched: it succeeds or fails here and now, or later, when some
    /// of it may have left.
    private func send(_ bytes: [UInt8], on channel: any Channel, _ transaction: UInt16, isWrite: Bool) {
        guard isWrite else { return channel.writeAndFlush(ByteBuffer(bytes: bytes), promise: nil) }
        let promise = channel.eventLoop.makePromise(of: Void.self)
        let failure = NIOLoopBoundBox<(any Error)?>(nil, eventLoop: loop)
        promise.futureResult.whenFailure { failure.value = $0 }
        channel.writeAndFlush(ByteBuffer(bytes: bytes), promise: promise)
        guard let error = failure.value else { return }
        let words = "nothing was sent: \(Self.words(for: error))"
        if let request = waiting[transaction] {
            trace(words, unit: request.expected.unit, transaction: shown(transaction))
        }
        finish(transaction, with: .failure(Failure(error: .linkDown(words), fate: .neverLeft)))
    }

    private func nextTransaction() -> UInt16 {
        repeat { lastTransaction &+= 1 } while waiting[lastTransaction] != nil
        return lastTransaction
    }

    func finish(_ transaction: UInt16, with result: Result<[UInt8], Failure>) {
        guard let request = waiting.removeValue(forKey: transaction) else { return }
        request.timer.cancel()
        request.continuation.resume(returning: result)
    }

    /// RTU has no transaction ids: ours are nothing to be seen there.
    func shown(_ transaction: UInt16) -> UInt16? { framing == .tcp ? transaction : nil }

    func traceAnswer(_ transaction: UInt16, _ request: Waiting, _ reply: [UInt8]) {
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

    func trace(_ remark: String, unit: UInt8? = nil, transaction: UInt16? = nil, _ raw: [UInt8] = []) {
        telling.trace.tell(
            TraceEvent(time: clock.utc, kind: .remark(remark), unit: unit, transaction: transaction, raw: raw))
    }
}
