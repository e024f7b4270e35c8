import CModbus
import Dispatch
package import Engine
import Foundation
package import Model

/// RTU on a serial line through libmodbus, which opens the port, frames and checks. Its calls block, so the actor has a
/// queue of its own.
///
/// RTU has no transaction id: what keeps a late reply from becoming the answer to another request is the silence that is
/// waited for after every error, and the flush before every request.
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
        executor = LineExecutor(label: "serial \(line.path)")
    }

    package func read(_ span: RegisterSpan, unit: UInt8, timeout: Duration) async throws(BusError) -> [UInt16] {
        let request = try ReadRequest(span)
        let reply = try transact(request.pdu, unit: unit, replyByteCount: request.replyByteCount, timeout: timeout)
        do {
            return try request.words(of: reply)
        } catch {
            if case .garbled = error { noteGarbled() }
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
            if case .indeterminate = error { noteGarbled() }
            throw error
        }
    }

    package var session: UInt64 { figures.sessions }

    package func close() async {
        closePort()
    }

    // MARK: - Requests

    func transact(
        _ pdu: [UInt8], unit: UInt8, replyByteCount: Int, timeout: Duration, isWrite: Bool = false
    ) throws(BusError) -> [UInt8] {
        let context = try openPort()
        if mustDrain { drain(context, until: timeout) }
        waitForSilence()
        if modbus_flush(context) > 0 { figures.strays += 1 }
        figures.requests += 1
        // The time on the wire is not the device's: it comes on top of what it may take to answer.
        let allowed = timeout + line.duration(byteCount: pdu.count + replyByteCount + 6)
        let microseconds = allowed.microseconds
        modbus_set_response_timeout(context, UInt32(microseconds / 1_000_000), UInt32(microseconds % 1_000_000))
        modbus_set_slave(context, Int32(unit))
        defer { busyUntil = clock.uptime }
        if isWrite { figures.writes += 1 }
        let sent = modbus_send_raw_request(context, [unit] + pdu, Int32(pdu.count + 1))
        let sendError = errno
        // An incomplete frame is told as bad data; every other failure means that the port took nothing.
        hasSent = sent > 0 || sendError == HG_EMBBADDATA
        guard sent > 0 else { throw lineFailure(sendError) }
        var reply = [UInt8](repeating: 0, count: Int(MODBUS_RTU_MAX_ADU_LENGTH))
        let length = modbus_receive_confirmation(context, &reply)
        let code = errno
        guard length > 0 else { throw failure(length, code) }
        guard length >= 5, reply[0] == unit else {
            noteGarbled()
            throw .garbled("a reply from unit \(reply[0]) instead of \(unit)")
        }
        return Array(reply[1..<(Int(length) - 2)])
    }

    private func failure(_ length: Int32, _ code: Int32) -> BusError {
        if length == 0 {
            noteGarbled()
            return .garbled("a reply from another unit")
        }
        switch code {
        case ETIMEDOUT:
            figures.timeouts += 1
            mustDrain = true
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

    /// The port itself failed: an adapter that was unplugged, mostly.
    private func lineFailure(_ code: Int32) -> BusError {
        closePort()
        lastFailure = "\(line.path): \(String(cString: modbus_strerror(code))); is the adapter plugged in?"
        mayOpenAt = clock.uptime + backoff.failed(jitter: 0)
        return .linkDown(lastFailure)
    }

    private func waitForSilence() {
        let rest = max(line.frameSilence, connection.pause) - (clock.uptime - busyUntil)
        if rest > .zero { usleep(UInt32(rest.microseconds)) }
    }

    /// Throws away what comes until nothing has come for a whole response time, three of them at the most.
    private func drain(_ context: OpaquePointer, until quiet: Duration) {
        let deadline = clock.uptime + quiet * 3
        var quietSince = clock.uptime
        while clock.uptime < deadline, clock.uptime - quietSince < quiet {
            usleep(5000)
            if modbus_flush(context) > 0 {
                figures.strays += 1
                quietSince = clock.uptime
            }
        }
        mustDrain = false
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
