import CModbus
import Dispatch
package import Engine
import Foundation
package import Model

/// RTU on a serial line through libmodbus, which opens the port, frames and checks. Its calls block, so the actor has a
/// queue of its own.
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
        let reply = try transact(request.pdu, unit: unit, replyByteCount: request.replyByteCount, timeout: timeout)
        do {
            return BusReply(words: try request.words(of: reply), duration: replyTime)
        } catch {
            if case .garbled(let reason) = error { noteGarbled(reason) }
            throw error
        }
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
            reply = try transact(
                request.pdu, unit: unit, replyByteCount: request.reply.count, timeout: timeout, isWrite: true)
        } catch {
            throw hasSent ? WriteFailure(afterSending: error) : WriteFailure(beforeSending: error)
        }
        do throws(WriteFailure) {
            try request.check(reply)
        } catch {
            if case .indeterminate(let reason) = error { noteGarbled(reason) }
            throw error
        }
    }

    package var session: UInt64 { figures.sessions }

    package func close() async {
        closePort()
        // Who closes it means it to be free; the next call opens it at once.
        backoff.opened()
        mayOpenAt = .zero
    }

    // MARK: - Requests

    /// - Parameter replyByteCount: of the reply PDU; nil where only the reply itself says it.
    func transact(
        _ pdu: [UInt8], unit: UInt8, replyByteCount: Int?, timeout: Duration, isWrite: Bool = false
    ) throws(BusError) -> [UInt8] {
        let port = try openPort()
        if mustDrain { drain(port, for: late.silence(after: timeout, at: clock.uptime)) }
        rest(until: late.quietUntil(unit))
        waitForSilence()
        noteStray(port.discard(), "bytes that nobody waited for were dropped")
        figures.requests += 1
        // The time on the wire is not the device's: it comes on top of what it may take to answer.
        let wireTime = line.duration(byteCount: pdu.count + (replyByteCount ?? 64) + 6)
        let allowed = timeout + wireTime
        let microseconds = allowed.microseconds
        modbus_set_response_timeout(port.context, UInt32(microseconds / 1_000_000), UInt32(microseconds % 1_000_000))
        modbus_set_slave(port.context, Int32(unit))
        defer { busyUntil = clock.uptime }
        if isWrite { figures.writes += 1 }
        telling.trace.tell(
            TraceEvent(
                time: clock.utc, kind: .sent, unit: unit, request: pdu, raw: RTUReply.frame(unit: unit, pdu: pdu)))
        let begun = clock.uptime
        let sent = modbus_send_raw_request(port.context, [unit] + pdu, Int32(pdu.count + 1))
        let sendError = errno
        // An incomplete frame is told as bad data; every other failure means that the port took nothing.
        hasSent = sent > 0 || sendError == HG_EMBBADDATA
        guard sent > 0 else { throw lineFailure(sendError) }
        let reply: [UInt8]
        do throws(BusError) {
            reply =
                replyByteCount == nil
                ? try receiveUncounted(
                    port, Expectation(unit: unit, function: pdu[0], replyByteCount: nil), within: allowed)
                : try receive(port, unit)
        } catch {
            // The silence after a time-out is part of what the request cost, so the drain belongs to it.
            if error == .noResponse { settle(timeout) }
            throw error
        }
        quality.answered()
        replyTime = max(.zero, clock.uptime - begun - wireTime)
        late.answered(by: unit, after: replyTime)
        telling.trace.tell(
            TraceEvent(
                time: clock.utc, kind: .answered(after: clock.uptime - begun), unit: unit, request: pdu, reply: reply,
                raw: RTUReply.frame(unit: unit, pdu: reply)))
        return reply
    }

    private func receive(_ port: SerialPort, _ unit: UInt8) throws(BusError) -> [UInt8] {
        // What libmodbus read of a damaged answer it does not say: it stands before the bytes that are still unused.
        var reply = [UInt8](repeating: Self.unused, count: Int(MODBUS_RTU_MAX_ADU_LENGTH))
        let length = modbus_receive_confirmation(port.context, &reply)
        let code = errno
        guard length > 0 else {
            let end = (reply.lastIndex { $0 != Self.unused } ?? -1) + 1
            throw failure(length, code, of: unit, seen: Array(reply[..<end]))
        }
        guard length >= 5, reply[0] == unit else {
            let reason = "a reply from unit \(reply[0]) instead of \(unit)"
            noteForeign(unit, reason, Array(reply[..<Int(length)]))
            throw .garbled(reason)
        }
        return Array(reply[1..<(Int(length) - 2)])
    }

    private static let unused: UInt8 = 0xA5

    /// Receives a reply whose length libmodbus does not know.
    private func receiveUncounted(
        _ port: SerialPort, _ expected: Expectation, within limit: Duration
    ) throws(BusError) -> [UInt8] {
        var bytes = RTUReply()
        let deadline = clock.uptime + limit
        repeat {
            guard let chunk = port.receive(within: max(.zero, deadline - clock.uptime)) else {
                throw lineFailure(errno)
            }
            bytes.append(chunk)
            if let reply = bytes.reply(to: expected) { return reply }
        } while clock.uptime < deadline
        noteTimeout(of: expected.unit)
        trace("no answer in time", bytes.bytes)
        throw .noResponse
    }

    private func failure(_ length: Int32, _ code: Int32, of unit: UInt8, seen: [UInt8]) -> BusError {
        if length == 0 {
            noteForeign(unit, "a reply from another unit", seen)
            return .garbled("a reply from another unit")
        }
        switch code {
        case ETIMEDOUT:
            noteTimeout(of: unit)
            trace(seen.isEmpty ? "no answer in time" : "an answer that broke off after \(seen.count) bytes", seen)
            return .noResponse
        case HG_EMBBADCRC, HG_EMBBADDATA, HG_EMBBADEXC, HG_EMBUNKEXC, HG_EMBMDATA, HG_EMBBADSLAVE:
            let reason = code == HG_EMBBADCRC ? "CRC wrong" : String(cString: modbus_strerror(code))
            if let suspicion = quality.damaged(port?.receiverErrors) { telling.note(BusNote(.warning, suspicion)) }
            noteGarbled("\(reason), \(seen.count) bytes", seen)
            return .garbled(reason)
        default: return lineFailure(code)
        }
    }

    private func noteGarbled(_ reason: String, _ bytes: [UInt8] = []) {
        figures.garbled += 1
        mustDrain = true
        trace(reason, bytes)
    }

    private func noteStray(_ bytes: [UInt8], _ what: String) {
        guard !bytes.isEmpty else { return }
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
