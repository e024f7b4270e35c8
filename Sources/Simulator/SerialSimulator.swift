import CModbus
import Foundation
package import Model
import Synchronization

/// Serves several units on one serial line, RTU framing; unknown units stay silent, as on a real bus.
///
/// libmodbus' own RTU server listens for a single unit, so requests are framed here and answered through libmodbus.
package final class SerialSimulator: SimulatorServer {
    package let faults = FaultPlan()
    private let descriptor: Int32
    private let context: UncheckedContext
    private let responder: Responder
    private let line: SerialLine
    private let keepsWireTime: Bool
    /// Whether the other side's settings can be seen, and so must be right.
    private let seesSettings: Bool
    private let isStopping = Atomic<Bool>(false)
    private let ended = DispatchSemaphore(value: 0)

    /// libmodbus' context; used by the server's thread alone once that runs.
    private struct UncheckedContext: @unchecked Sendable {
        let pointer: OpaquePointer
    }

    /// - Parameters:
    ///   - descriptor: the master side of a pseudo-terminal, nil to open `line.path`. Closed by ``stop()``. Units then answer
    ///     only while the other side is set to the baud rate and parity of `line`, like units on a wire.
    ///   - keepsWireTime: whether answers take as long as they would on a real line; a pseudo-terminal has no wire time.
    package init(
        line: SerialLine, descriptor: Int32? = nil, units: [UInt8: SimulatedUnit], keepsWireTime: Bool = false
    ) throws {
        let parity = CChar(bitPattern: line.format.parity.rawValue.utf8.first ?? 78)
        guard
            let context = modbus_new_rtu(
                line.path, Int32(line.baud), parity, Int32(line.format.dataBits), Int32(line.format.stopBits))
        else { throw SimulatorError("\(line.path) at \(line.baud) \(line.format.name) is not a serial line") }
        if let descriptor {
            modbus_set_socket(context, descriptor)
        } else if modbus_connect(context) != 0 {
            let reason = String(cString: modbus_strerror(errno))
            modbus_free(context)
            throw SimulatorError("cannot open \(line.path): \(reason)")
        }
        self.descriptor = modbus_get_socket(context)
        self.context = UncheckedContext(pointer: context)
        self.line = line
        self.keepsWireTime = keepsWireTime
        seesSettings = descriptor != nil
        responder = Responder(units: units, faults: faults)
        let thread = Thread { [self] in serve() }
        thread.name = "simulator-rtu"
        thread.start()
    }

    package func stop() {
        guard !isStopping.exchange(true, ordering: .relaxed) else { return }
        ended.wait()
    }

    private func serve() {
        defer {
            modbus_close(context.pointer)
            modbus_free(context.pointer)
            ended.signal()
        }
        var frame = RTURequestFrame()
        while !isStopping.load(ordering: .relaxed) {
            var polled = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
            let ready = poll(&polled, 1, 20)
            if ready == 0 {
                frame.silence()
            } else if polled.revents & Int16(POLLIN) != 0 {
                receive(into: &frame)
            } else {
                // The other side of a pseudo-terminal is closed for now.
                usleep(20_000)
            }
        }
    }

    private func receive(into frame: inout RTURequestFrame) {
        var chunk = [UInt8](repeating: 0, count: 256)
        let count = read(descriptor, &chunk, chunk.count)
        guard count > 0 else {
            usleep(20_000)
            return
        }
        // At another speed or parity a unit gets something that is no frame, and keeps silent.
        if seesSettings, LineSettings(master: descriptor)?.isHeard(on: line) == false { return frame.silence() }
        for request in frame.append(chunk[..<count]) {
            if keepsWireTime { usleep(UInt32(line.duration(byteCount: request.count).microseconds)) }
            guard request[0] != 0 else { continue }
            modbus_set_slave(context.pointer, Int32(request[0]))
            _ = responder.answer(request, header: 1, context: context.pointer, unknownUnitIsSilent: true)
        }
    }
}
