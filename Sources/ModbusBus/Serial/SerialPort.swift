import CModbus
import CTerminal
import Foundation
import Model

/// An open serial port, set up as asked or not at all: locked, its settings read back. Used by its bus alone.
final class SerialPort {
    let context: OpaquePointer
    private let lock: PortLock
    /// What the driver made of the settings, for the log.
    let notes: [BusNote]

    init(_ line: SerialLine) throws(PortProblem) {
        lock = try PortLock(line.path)
        do {
            if lock.isPseudoTerminal { lock.forgetSpeed() }
            context = try Self.connect(line)
        } catch {
            lock.close()
            throw error
        }
        lock.exclude()
        do {
            notes = try Self.secure(context, lock, line)
        } catch {
            Self.free(context)
            lock.close()
            throw error
        }
    }

    func close() {
        Self.free(context)
        lock.close()
    }

    /// Throws away what has come and is not read.
    ///
    /// - Returns: the bytes, at most 4096 of them.
    func discard() -> [UInt8] {
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 512)
        while bytes.count < 4096 {
            let count = Foundation.read(modbus_get_socket(context), &chunk, chunk.count)
            guard count > 0 else { break }
            bytes += chunk[..<count]
        }
        return bytes
    }

    /// Bytes that come within `limit`, as soon as there are any.
    ///
    /// - Returns: empty when none came; nil when the port failed, with the reason in `errno`.
    func receive(within limit: Duration) -> [UInt8]? {
        var polled = pollfd(fd: modbus_get_socket(context), events: Int16(POLLIN), revents: 0)
        let ready = poll(&polled, 1, Int32(clamping: (limit.microseconds + 999) / 1000))
        guard ready > 0 else { return ready == 0 || errno == EINTR ? [] : nil }
        var chunk = [UInt8](repeating: 0, count: 512)
        let count = Foundation.read(polled.fd, &chunk, chunk.count)
        if count > 0 { return Array(chunk[..<count]) }
        if count == 0 { errno = ECONNRESET }
        return count < 0 && errno == EAGAIN ? [] : nil
    }

    /// Nil where the driver does not count.
    var receiverErrors: ReceiverErrors? {
        var counters = serial_icounter_struct()
        guard ioctl(lock.descriptor, UInt(TIOCGICOUNT), &counters) == 0 else { return nil }
        return ReceiverErrors(
            framing: Int(counters.frame), parity: Int(counters.parity), overrun: Int(counters.overrun),
            breaks: Int(counters.brk))
    }

    // MARK: - Setting up

    private static func connect(_ line: SerialLine) throws(PortProblem) -> OpaquePointer {
        let parity = CChar(bitPattern: line.format.parity.rawValue.utf8.first ?? 78)
        guard
            let made = modbus_new_rtu(
                line.path, Int32(line.baud), parity, Int32(line.format.dataBits), Int32(line.format.stopBits))
        else { throw .cannotBeSet(["\(line.baud) \(line.format.name) is no setting of a serial line"]) }
        modbus_set_error_recovery(made, MODBUS_ERROR_RECOVERY_NONE)
        // With no byte time-out the response time-out covers the whole reply: a dribbling device cannot stretch it.
        modbus_set_byte_timeout(made, 0, 0)
        guard modbus_connect(made) == 0 else {
            let code = errno
            modbus_free(made)
            throw PortLock.problem(opening: line.path, code)
        }
        return made
    }

    private static func free(_ context: OpaquePointer) {
        modbus_close(context)
        modbus_free(context)
    }

    private static func secure(
        _ context: OpaquePointer, _ lock: PortLock, _ line: SerialLine
    ) throws(PortProblem) -> [BusNote] {
        let descriptor = modbus_get_socket(context)
        // libmodbus waits by `select`, which ends at descriptor 1023.
        guard descriptor < 1024 else { throw .tooManyFiles(descriptor: descriptor) }
        var settings = termios()
        guard tcgetattr(descriptor, &settings) == 0 else { throw .other(code: errno) }
        let differences = PortSettings(settings).differences(from: line, hasWire: !lock.isPseudoTerminal)
        guard differences.isEmpty else { throw .cannotBeSet(differences) }
        return try setRS485(descriptor, line) + LatencyTimer.lower(descriptor, line.path)
    }

    private static func setRS485(_ descriptor: Int32, _ line: SerialLine) throws(PortProblem) -> [BusNote] {
        guard let mode = line.rs485 else { return [] }
        let asked = RS485Settings(mode)
        var kernel = asked.kernel
        guard ioctl(descriptor, UInt(TIOCSRS485), &kernel) == 0 else {
            throw [ENOTTY, EINVAL, ENOSYS].contains(errno) ? .noRS485 : .other(code: errno)
        }
        var found = serial_rs485()
        guard ioctl(descriptor, UInt(TIOCGRS485), &found) == 0 else { throw .noRS485 }
        let got = RS485Settings(found)
        guard got.isEnabled else { throw .rs485Refused }
        return got.differences(from: asked).map { .init(.warning, "the driver changed the RS-485 settings: \($0)") }
    }
}
