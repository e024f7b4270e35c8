import CModbus
import Dispatch
package import Engine
import Foundation
package import Model

/// RTU on a serial line. libmodbus opens the port and sends; answers are found among the bytes by ``RTUReply``, which knows
/// the local echo of adapters and noise before an answer. The calls block, so the actor has a queue of its own.
///
/// RTU has no transaction id: what keeps a late reply from becoming the answer to another request is the silence that is
/// waited for after every error, the flush before every request, and ``LateReplies``.
package actor SerialBus: Bus {
    package nonisolated let executor: any SerialExecutor & TaskExecutor
    private let connection: Connection
    private let line: SerialLine
    private let clock: any Timekeeper
    private let telling: BusTelling
    private var port: SerialPort?
    private var quality = LineQuality()
    private var backoff = ReopenBackoff(limit: .seconds(5))
    private var mayOpenAt = Duration.zero
    private var lastFailure = ""
    /// When the line was last busy.
    private var busyUntil = Duration.zero
    private var mustDrain = false
    private var late: LateReplies
    /// What the unit took for the last reply, without the time on the wire.
    private var replyTime = Duration.zero
    private var echo = LocalEcho()
    /// The last request that was answered by what may have been its echo.
    private var lastEqual: [UInt8] = []
    /// What was seen instead of the last answer of a unit, in words.
    private var remarks: [UInt8: String] = [:]
    /// Whether any byte of the last request may have left.
    private var hasSent = false
    package private(set) var figures = BusFigures()

    package nonisolated var unownedExecutor: UnownedSerialExecutor {
        executor.asUnownedSerialExecutor()
    }

    package init(
        _ connection: Connection, line: SerialLine, clock: any Timekeeper, telling: BusTelling = BusTelling()
    ) {
        self.connection = connection
        self.line = line
        self.clock = clock
        self.telling = telling
        late = LateReplies(limit: connection.timeout)
        executor = LineExecutor(label: "serial \(line.path)")
    }

    package func read(_ span: RegisterSpan, unit: UInt8, timeout: Duration) async throws(BusError) -> [UInt16] {
        try await timedRead(span, unit: unit, timeout: timeout).words
    }

    package func timedRead(_ span: RegisterSpan, unit: UInt8, timeout: Duration) async throws(BusError) -> BusReply {
        let request = try ReadRequest(span)
        let expected = Expectation(
            unit: unit, function: span.table.readFunction, replyByteCount: request.replyByteCount)
        let reply = try transact(request.pdu, expected, timeout: timeout)
        return BusReply(words: try request.words(of: reply), duration: replyTime)
    }

    package func write(
        _ write: RegisterWrite, unit: UInt8, timeout: Duration, session: UInt64?
    ) async throws(WriteFailure) {
        let request = try WriteRequest(write, unit: unit)
        guard unit != 0 else { throw .notSent("unit 0 is everybody on a serial line") }
        guard !Task.isCancelled else { throw .notSent("cancelled") }
        if let session {
            do throws(BusError) { _ = try openPort() } catch { throw WriteFailure(beforeSending: error) }
            guard session == figures.sessions else { throw .openedAnew }
        }
        hasSent = false
        let reply: [UInt8]
        do throws(BusError) {
            reply = try transact(request.pdu, request.expectation, timeout: timeout)
        } catch {
            throw hasSent ? WriteFailure(afterSending: error) : WriteFailure(beforeSending: error)
        }
        try request.check(reply)
    }

    package var session: UInt64 { figures.sessions }

    package func close() async {
        closePort()
        // Who closes it means it to be free; the next call opens it at once.
        backoff.opened()
        mayOpenAt = .zero
    }

    package var channelNote: String? { echo.knowledge == .present ? LocalEcho.advice : nil }

    package func remark(on unit: UInt8) -> String? { remarks[unit] }

    // MARK: - Requests

    func transact(_ pdu: [UInt8], _ expected: Expectation, timeout: Duration) throws(BusError) -> [UInt8] {
        let port = try openPort()
        let unit = expected.unit
        if mustDrain { drain(port, for: late.silence(after: timeout, at: clock.uptime)) }
        rest(until: late.quietUntil(unit))
        waitForSilence()
        noteStray(port.discard(), "bytes that nobody waited for were dropped")
        figures.requests += 1
        let frame = RTUReply.frame(unit: unit, pdu: pdu)
        // The time on the wire is not the device's: it comes on top of what it may take to answer.
        let wireTime = line.duration(byteCount: pdu.count + (expected.replyByteCount ?? 64) + 6)
        defer { busyUntil = clock.uptime }
        if expected.reply != nil { figures.writes += 1 }
        telling.trace.tell(TraceEvent(time: clock.utc, kind: .sent, unit: unit, request: pdu, raw: frame))
        let begun = clock.uptime
        try send(pdu, unit, port)
        let reply: [UInt8]
        do throws(BusError) {
            reply = try receive(port, expected, frame, within: timeout + wireTime)
        } catch {
            // The silence after a time-out is part of what the request cost, so the drain belongs to it.
            if error == .noResponse { settle(timeout) }
            throw error
        }
        quality.answered()
        if !remarks.isEmpty { remarks[unit] = nil }
        replyTime = max(.zero, clock.uptime - begun - wireTime)
        late.answered(by: unit, after: replyTime)
        telling.trace.tell(
            TraceEvent(
                time: clock.utc, kind: .answered(after: clock.uptime - begun), unit: unit, request: pdu, reply: reply,
                raw: RTUReply.frame(unit: unit, pdu: reply)))
        return reply
    }

    private func send(_ pdu: [UInt8], _ unit: UInt8, _ port: SerialPort) throws(BusError) {
        modbus_set_slave(port.context, Int32(unit))
        let sent = modbus_send_raw_request(port.context, [unit] + pdu, Int32(pdu.count + 1))
        let sendError = errno
        // An incomplete frame is told as bad data; every other failure means that the port took nothing.
        hasSent = sent > 0 || sendError == HG_EMBBADDATA
        guard sent <= 0 else { return }
        let failure = lineFailure(sendError)
        trace(hasSent ? "the line failed while the request was sent" : "nothing was sent", [])
        throw failure
    }

    /// - Parameter request: the frame that was sent.
    private func receive(
        _ port: SerialPort, _ expected: Expectation, _ request: [UInt8], within limit: Duration
    ) throws(BusError) -> [UInt8] {
        var bytes = RTUReply()
        var held: [UInt8]?
        let deadline = clock.uptime + limit
        repeat {
            guard let chunk = port.receive(within: max(.zero, deadline - clock.uptime)) else {
                throw lineFailure(errno)
            }
            guard !chunk.isEmpty else { continue }
            bytes.append(chunk)
            switch bytes.verdict(expected, request: request, echo.knowledge) {
            case .reply(let reply, let how):
                note(how, request)
                if RTUReply.isSame(request, reply) { lastEqual = request }
                return reply
            case .held(let reply): held = reply
            case .wait:
                if let objection = bytes.objection(to: expected, request: request) {
                    throw rejected(objection, expected, bytes.bytes)
                }
            }
        } while clock.uptime < deadline
        if let held, expected.reply != nil {
            // No second copy came, so it was the answer.
            (echo, lastEqual) = (LocalEcho(knowledge: .absent), request)
            return held
        }
        throw unanswered(expected, request, bytes, isHeld: held != nil)
    }

    private func note(_ how: RTUVerdict.Echo, _ request: [UInt8]) {
        switch how {
        case .before: sawEcho(request)
        case .none: echo.missed()
        case .untold: break
        }
    }

    private func sawEcho(_ request: [UInt8]) {
        trace("\(LocalEcho.words) was dropped", request)
        if echo.seen() { telling.note(BusNote(.warning, "\(line.path): \(LocalEcho.advice)")) }
    }

    /// A whole frame came that is no answer.
    private func rejected(_ objection: RTUReply.Objection, _ expected: Expectation, _ bytes: [UInt8]) -> BusError {
        let words = objection.words(expected)
        switch objection {
        case .foreign:
            noteForeign(expected.unit, words, bytes)
            return .garbled(words)
        case .mismatch:
            noteGarbled(words, bytes)
            return .mismatch(words)
        case .damaged:
            noteDamaged()
            noteGarbled("\(words), \(bytes.count) bytes", bytes)
            return .garbled(words)
        }
    }

    private func noteDamaged() {
        if let suspicion = quality.damaged(port?.receiverErrors) { telling.note(BusNote(.warning, suspicion)) }
    }

    /// The time is over, and no answer has come.
    private func unanswered(
        _ expected: Expectation, _ request: [UInt8], _ bytes: RTUReply, isHeld: Bool
    ) -> BusError {
        noteTimeout(of: expected.unit)
        if isHeld || bytes.isOnlyEcho(of: request) {
            if !isHeld || echo.knowledge == .present { sawEcho(request) }
            remarks[expected.unit] = "only the \(LocalEcho.words) came back"
            trace("no answer in time: only the \(LocalEcho.words)", [])
            return .noResponse
        }
        let objection = bytes.objection(to: expected, request: request, isFinal: true)?.words(expected)
        remarks[expected.unit] = bytes.isEmpty ? nil : objection ?? "\(bytes.bytes.count) bytes came that are no answer"
        if !bytes.isEmpty { noteDamaged() }
        trace(
            bytes.isEmpty ? "no answer in time" : "an answer that broke off after \(bytes.bytes.count) bytes",
            bytes.bytes)
        return .noResponse
    }

    private func noteGarbled(_ reason: String, _ bytes: [UInt8] = []) {
        figures.garbled += 1
        mustDrain = true
        trace(reason, bytes)
    }

    private func noteStray(_ bytes: [UInt8], _ what: String) {
        guard !bytes.isEmpty else { return }
        if !lastEqual.isEmpty, bytes.starts(with: lastEqual) { sawEcho(lastEqual) }
        lastEqual = []
        figures.strays += 1
        late.strayed(byteCount: bytes.count, at: clock.uptime)
        trace("\(what): \(bytes.count) bytes", bytes)
    }

    private func trace(_ remark: String, _ bytes: [UInt8]) {
        telling.trace.tell(TraceEvent(time: clock.utc, kind: .remark(remark), raw: bytes))
    }

    private func noteTimeout(of unit: UInt8) {
        figures.timeouts += 1
        mustDrain = true
        late.missed(unit, at: clock.uptime)
    }

    /// Somebody else answered, too late: the reply of `unit` is still to come.
    private func noteForeign(_ unit: UInt8, _ reason: String, _ bytes: [UInt8]) {
        noteGarbled(reason, bytes)
        late.strayed(byteCount: Int(MODBUS_RTU_MAX_ADU_LENGTH), at: clock.uptime)
        late.missed(unit, at: clock.uptime)
    }

    /// The port itself failed: an adapter that was unplugged, mostly.
    private func lineFailure(_ code: Int32) -> BusError {
        closePort()
        return notUsable(.failed(code: code))
    }

    private func waitForSilence() {
        rest(until: busyUntil + max(line.frameSilence, connection.pause))
    }

    private func rest(until moment: Duration) {
        let rest = moment - clock.uptime
        if rest > .zero { usleep(UInt32(clamping: rest.microseconds)) }
    }

    /// Waits now for what an unanswered request may still bring.
    func settle(_ quiet: Duration) {
        if let port, mustDrain { drain(port, for: late.silence(after: quiet, at: clock.uptime)) }
    }

    /// Throws away what comes until nothing has come for so long; three times as long at the most.
    private func drain(_ port: SerialPort, for silence: Duration) {
        let deadline = clock.uptime + silence * 3
        var quietSince = clock.uptime
        while clock.uptime < deadline, clock.uptime - quietSince < silence {
            usleep(2000)
            let late = port.discard()
            if !late.isEmpty {
                noteStray(late, "a late reply or noise was dropped")
                quietSince = clock.uptime
            }
        }
        mustDrain = false
    }

    // MARK: - Port

    private func openPort() throws(BusError) -> SerialPort {
        if let port { return port }
        guard clock.uptime >= mayOpenAt else { throw .linkDown(lastFailure) }
        let made: SerialPort
        do throws(PortProblem) {
            made = try SerialPort(line)
        } catch {
            throw notUsable(error)
        }
        port = made
        quality.opened(made.receiverErrors)
        echo.opened()
        if connection.connectDelay > .zero { rest(until: clock.uptime + connection.connectDelay) }
        backoff.opened()
        figures.sessions += 1
        for note in made.notes { telling.note(note) }
        if !lastFailure.isEmpty { telling.note(BusNote(.notice, "\(line.path) is open again")) }
        lastFailure = ""
        return made
    }

    private func notUsable(_ problem: PortProblem) -> BusError {
        mayOpenAt = clock.uptime + backoff.failed(jitter: 0)
        let message = problem.message(line.path)
        if message != lastFailure {
            telling.note(BusNote(.warning, message))
            trace(message, [])
        }
        lastFailure = message
        return .linkDown(message)
    }

    private func closePort() {
        port?.close()
        port = nil
    }
}

/// A serial executor on a dispatch queue, where blocking is fine.
private final class LineExecutor: SerialExecutor, TaskExecutor {
    private let queue: DispatchQueue

    init(label: String) {
        queue = DispatchQueue(label: label)
    }

    func enqueue(_ job: consuming ExecutorJob) {
        let job = UnownedJob(job)
        queue.async {
            job.runSynchronously(isolatedTo: self.asUnownedSerialExecutor(), taskExecutor: self.asUnownedTaskExecutor())
        }
    }
}
