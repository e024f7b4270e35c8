import CModbus
import Foundation
import Synchronization

/// A device as libmodbus makes one, with nothing of ours in it: 100 coils and 100 registers, and a log of every request
/// that changes something, as it arrived.
final class LibmodbusServer: Sendable {
    private struct Context: @unchecked Sendable {
        let pointer: OpaquePointer
        let mapping: UnsafeMutablePointer<modbus_mapping_t>
    }

    private let context: Context
    private let log = Mutex<[[UInt8]]>([])
    private let isStopping = Atomic<Bool>(false)
    private let ended = DispatchSemaphore(value: 0)
    let port: Int

    /// Over TCP on a free port.
    convenience init() throws {
        let pointer = try Self.require(modbus_new_tcp("127.0.0.1", 0))
        let listener = modbus_tcp_listen(pointer, 4)
        try self.init(pointer, port: Self.port(of: listener)) { pointer in
            var listener = listener
            var polled = pollfd(fd: listener, events: Int16(POLLIN), revents: 0)
            return poll(&polled, 1, 50) > 0 && modbus_tcp_accept(pointer, &listener) >= 0
        }
    }

    /// As RTU unit 1 on a serial line.
    convenience init(path: String) throws {
        let pointer = try Self.require(modbus_new_rtu(path, 115_200, 78, 8, 1))
        modbus_set_slave(pointer, 1)
        guard modbus_connect(pointer) == 0 else { throw Failure() }
        try self.init(pointer, port: 0) { _ in true }
    }

    private init(
        _ pointer: OpaquePointer, port: Int, open: @escaping @Sendable (OpaquePointer) -> Bool
    ) throws {
        context = Context(pointer: pointer, mapping: try Self.require(modbus_mapping_new(100, 100, 100, 100)))
        self.port = port
        modbus_set_indication_timeout(pointer, 0, 50_000)
        Thread { [self] in
            while !isStopping.load(ordering: .relaxed) {
                if open(context.pointer) { serve() }
            }
            ended.signal()
        }.start()
    }

    /// Requests of function codes 5, 6, 15, 16 and 22, from unit to the end of the PDU.
    var writes: [[UInt8]] { log.withLock { $0 } }

    var registers: [UInt16] { (0..<100).map { context.mapping.pointee.tab_registers[$0] } }
    var coils: [UInt8] { (0..<100).map { context.mapping.pointee.tab_bits[$0] } }

    func stop() {
        isStopping.store(true, ordering: .relaxed)
        ended.wait()
        modbus_mapping_free(context.mapping)
        modbus_close(context.pointer)
        modbus_free(context.pointer)
    }

    private func serve() {
        var request = [UInt8](repeating: 0, count: 260)
        let header = Int(modbus_get_header_length(context.pointer))
        while !isStopping.load(ordering: .relaxed) {
            let length = modbus_receive(context.pointer, &request)
            if length < 0, errno == ETIMEDOUT { continue }
            guard length >= 0 else { return }
            guard length > header else { continue }
            if [5, 6, 15, 16, 22].contains(request[header]) {
                let end = Int(length) - (header == 1 ? 2 : 0)
                let entry = Array(request[(header - 1)..<end])
                log.withLock { $0.append(entry) }
            }
            modbus_reply(context.pointer, request, length, context.mapping)
        }
    }

    struct Failure: Error {}

    private static func require<Value>(_ value: Value?) throws -> Value {
        guard let value else { throw Failure() }
        return value
    }

    private static func port(of socket: Int32) -> Int {
        var address = sockaddr_in()
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        _ = withUnsafeMutablePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { getsockname(socket, $0, &length) }
        }
        return Int(UInt16(bigEndian: address.sin_port))
    }
}

/// A process of socat that connects two things, gone with its owner.
final class Socat {
    private let process = Process()

    init(_ left: String, _ right: String) throws {
        process.executableURL = URL(fileURLWithPath: "/usr/bin/socat")
        process.arguments = [left, right]
        process.standardError = FileHandle.nullDevice
        try process.run()
    }

    func stop() {
        kill(process.processIdentifier, SIGKILL)
        process.waitUntilExit()
    }
}
