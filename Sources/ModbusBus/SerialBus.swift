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
    package nonisolated let executor: any SerialExecutor
    private let connection: Connection
    private let line: SerialLine
    private let clock: any Timekeeper
    private var context: OpaquePointer?
    private var backoff = ReopenBackoff()
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

    package init(_ connection: Connection, line: SerialLine, clock: any Timekeeper) {
        self.connection = connection
        self.line = line
        self.clock = clock
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
            if case .garbled = error { noteGarbled() }
            throw error
        }
    }

    package func write(_ write: RegisterWrite, unit: UInt8, timeout: Duration) async throws(WriteFailure) {
        let request = try WriteRequest(write, unit: unit)
        guard unit != 0 else { throw .notSent("unit 0 is everybody on a serial line") }
        guard !Task.isCancelled else { throw .notSent("cancelled") }
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
            if case .indeterminate = error { noteGarbled() }
            throw error
        }
    }

    package func close() async {
        closePort()
    }

    // MARK: - Requests

    func transact(
        _ pdu: [UInt8], unit: UInt8, replyByteCount: Int, timeout: Duration, isWrite: Bool = false
    ) throws(BusError) -> [UInt8] {
        let context = try openPort()
        if mustDrain { drain(context, for: late.silence(after: timeout, at: clock.uptime)) }
        rest(until: late.quietUntil(unit))
        waitForSilence()
        discard(context)
        figures.requests += 1
        // The time on the wire is not the device's: it comes on top of what it may take to answer.
        let wireTime = line.duration(byteCount: pdu.count + replyByteCount + 6)
        let allowed = timeout + wireTime
        let microseconds = allowed.microseconds
        modbus_set_response_timeout(context, UInt32(microseconds / 1_000_000), UInt32(microseconds % 1_000_000))
        modbus_set_slave(context, Int32(unit))
        defer { busyUntil = clock.uptime }
        if isWrite { figures.writes += 1 }
        let begun = clock.uptime
        let sent = modbus_send_raw_request(context, [unit] + pdu, Int32(pdu.count + 1))
        let sendError = errno
        // An incomplete frame is told as bad data; every other failure means that the port took nothing.
        hasSent = sent > 0 || sendError == HG_EMBBADDATA
        guard sent > 0 else { throw lineFailure(sendError) }
        var reply = [UInt8](repeating: 0, count: Int(MODBUS_RTU_MAX_ADU_LENGTH))
        let length = modbus_receive_confirmation(context, &reply)
        let code = errno
        guard length > 0 else {
            let error = failure(length, code, of: unit)
            if error == .noResponse { drain(context, for: late.silence(after: timeout, at: clock.uptime)) }
            throw error
        }
        guard length >= 5, reply[0] == unit else {
            noteForeign(unit)
            throw .garbled("a reply from unit \(reply[0]) instead of \(unit)")
        }
        replyTime = max(.zero, clock.uptime - begun - wireTime)
        late.answered(by: unit, after: replyTime)
        return Array(reply[1..<(Int(length) - 2)])
    }

    private func failure(_ length: Int32, _ code: Int32, of unit: UInt8) -> BusError {
        if length == 0 {
            noteForeign(unit)
            return .garbled("a reply from another unit")
        }
        switch code {
        case ETIMEDOUT:
            figures.timeouts += 1
            late.missed(unit, at: clock.uptime)
            return .noResponse
        case HG_EMBBADCRC, HG_EMBBADDATA, HG_EMBBADEXC, HG_EMBUNKEXC, HG_EMBMDATA, HG_EMBBADSLAVE:
            noteGarbled()
            return .garbled(String(cString: modbus_strerror(code)))
        default: return lineFailure(code)
        }
    }

    private func noteGarbled() {
        figures.garbled += 1
        mustDrain = true
    }

    /// Somebody else answered, too late: the reply of `unit` is still to come.
    private func noteForeign(_ unit: UInt8) {
        noteGarbled()
        late.strayed(byteCount: Int(MODBUS_RTU_MAX_ADU_LENGTH), at: clock.uptime)
        late.missed(unit, at: clock.uptime)
    }

    /// The port itself failed: an adapter that was unplugged, mostly.
    private func lineFailure(_ code: Int32) -> BusError {
        closePort()
        lastFailure = "\(line.path): \(String(cString: modbus_strerror(code))); is the adapter plugged in?"
        mayOpenAt = clock.uptime + backoff.failed(jitter: 0)
        return .linkDown(lastFailure)
    }

    private func waitForSilence() {
        rest(until: busyUntil + max(line.frameSilence, connection.pause))
    }

    private func rest(until moment: Duration) {
        let rest = moment - clock.uptime
        if rest > .zero { usleep(UInt32(clamping: rest.microseconds)) }
    }

    /// Throws away what comes until nothing has come for so long; three times as long at the most.
    private func drain(_ context: OpaquePointer, for silence: Duration) {
        let deadline = clock.uptime + silence * 3
        var quietSince = clock.uptime
        while clock.uptime < deadline, clock.uptime - quietSince < silence {
            usleep(2000)
            if discard(context) { quietSince = clock.uptime }
        }
        mustDrain = false
    }

    /// Throws away what has come. `modbus_flush` does not say whether there was anything.
    ///
    /// - Returns: whether there was.
    @discardableResult
    private func discard(_ context: OpaquePointer) -> Bool {
        var byteCount: Int32 = 0
        guard ioctl(modbus_get_socket(context), UInt(FIONREAD), &byteCount) == 0, byteCount > 0 else { return false }
        modbus_flush(context)
        figures.strays += 1
        late.strayed(byteCount: Int(byteCount), at: clock.uptime)
        return true
    }

    // MARK: - Port

    private func openPort() throws(BusError) -> OpaquePointer {
        if let context { return context }
        guard clock.uptime >= mayOpenAt else { throw .linkDown(lastFailure) }
        let parity = CChar(bitPattern: line.format.parity.rawValue.utf8.first ?? 78)
        guard
            let made = modbus_new_rtu(
                line.path, Int32(line.baud), parity, Int32(line.format.dataBits), Int32(line.format.stopBits))
        else { throw .invalidRequest("\(line.path) at \(line.baud) \(line.format.name) is not a serial line") }
        modbus_set_error_recovery(made, MODBUS_ERROR_RECOVERY_NONE)
        // With no byte time-out the response time-out covers the whole reply: a dribbling device cannot stretch it.
        modbus_set_byte_timeout(made, 0, 0)
        guard modbus_connect(made) == 0 else {
            defer { modbus_free(made) }
            throw openFailure(errno)
        }
        if let problem = secure(made) {
            modbus_close(made)
            modbus_free(made)
            throw problem
        }
        context = made
        backoff.opened()
        figures.sessions += 1
        return made
    }

    /// One master on a line: nobody else may open the port. libmodbus waits by `select`, which ends at descriptor 1023.
    private func secure(_ context: OpaquePointer) -> BusError? {
        let descriptor = modbus_get_socket(context)
        guard descriptor < 1024 else {
            return .linkDown("\(line.path): too many open files (descriptor \(descriptor))")
        }
        guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 else { return openFailure(EBUSY) }
        if line.usesRS485, modbus_rtu_set_serial_mode(context, MODBUS_RTU_RS485) != 0 { return openFailure(errno) }
        return nil
    }

    private func openFailure(_ code: Int32) -> BusError {
        mayOpenAt = clock.uptime + backoff.failed(jitter: 0)
        let advice =
            switch code {
            case ENOENT, ENODEV, ENXIO: "no such device; is the adapter plugged in?"
            case EACCES, EPERM: "permission denied; add the user to the group dialout"
            case EBUSY: "in use by another program; a line has one master"
            default: String(cString: strerror(code))
            }
        lastFailure = "cannot open \(line.path): \(advice)"
        return .linkDown(lastFailure)
    }

    private func closePort() {
        guard let open = context else { return }
        modbus_close(open)
        modbus_free(open)
        context = nil
    }
}

/// A serial executor on a dispatch queue, where blocking is fine.
private final class LineExecutor: SerialExecutor {
    private let queue: DispatchQueue

    init(label: String) {
        queue = DispatchQueue(label: label)
    }

    func enqueue(_ job: consuming ExecutorJob) {
        let job = UnownedJob(job)
        queue.async { job.runSynchronously(on: self.asUnownedSerialExecutor()) }
    }
}
