import Engine
import Foundation
import ModbusBus
import Model
import NIOCore
import NIOPosix
import Simulator
import Testing

/// Writes over all three channels: against devices that libmodbus makes, and against peers that mean harm.
@Suite(.serialized) struct WritingTests {
    /// One request of each function code, and what it must be on the wire.
    static let requests: [(write: RegisterWrite, bytes: [UInt8])] = [
        (.coil(3, isOn: true), [1, 5, 0, 3, 0xFF, 0]),
        (.coil(4, isOn: false), [1, 5, 0, 4, 0, 0]),
        (.register(7, 0x1234), [1, 6, 0, 7, 0x12, 0x34]),
        (.coils(8, [true, false, true, true, false, false, false, false, true]), [1, 15, 0, 8, 0, 9, 2, 0x0D, 0x01]),
        (.registers(9, [0xABCD, 0x0102]), [1, 16, 0, 9, 0, 2, 4, 0xAB, 0xCD, 1, 2]),
        (.mask(7, and: 0xFFF0, or: 0x000A), [1, 22, 0, 7, 0xFF, 0xF0, 0, 0x0A]),
    ]

    static func connection(_ channel: Connection.Channel) -> Connection {
        Connection(name: "c", channel: channel, timeout: StreamBusTests.timeout)
    }

    static func make(_ channel: Connection.Channel) -> any Bus {
        Buses.make(connection(channel), loop: StreamBusTests.loops.next(), clock: TestClock())
    }

    /// How a write failed, nil when it did not.
    static func failure(_ bus: any Bus, _ write: RegisterWrite, unit: UInt8 = 1) async -> WriteFailure? {
        do throws(WriteFailure) {
            try await bus.write(write, unit: unit, timeout: StreamBusTests.timeout)
            return nil
        } catch {
            return error
        }
    }

    static func isIndeterminate(_ failure: WriteFailure?) -> Bool {
        if case .indeterminate = failure { return true }
        return false
    }

    static func isNotSent(_ failure: WriteFailure?) -> Bool {
        if case .notSent = failure { return true }
        return false
    }

    /// Sends every request and looks at what arrived and what it did.
    static func writeEverything(_ bus: any Bus, to server: LibmodbusServer) async {
        for (write, bytes) in requests {
            #expect(await failure(bus, write) == nil, "\(write)")
            #expect(server.writes.last == bytes, "\(write)")
        }
        #expect(server.writes == requests.map(\.bytes))
        #expect(server.registers[7] == 0x123A)
        #expect(server.registers[9...10] == [0xABCD, 0x0102])
        #expect(server.coils[3...16] == [1, 0, 0, 0, 0, 1, 0, 1, 1, 0, 0, 0, 0, 1])
        #expect(await failure(bus, .register(100, 1)) == .refused(2))
        await bus.close()
    }

    @Test func everyFunctionCodeReachesAForeignDeviceOnceOverTCP() async throws {
        let server = try LibmodbusServer()
        defer { server.stop() }
        await Self.writeEverything(
            Self.make(.tcp(Endpoint(host: "127.0.0.1", port: server.port))), to: server)
    }

    /// A write for a session that is over, over a channel that is open, over one that has to be opened, and in time.
    static func writeInSessions(_ bus: any Bus, to server: LibmodbusServer) async throws {
        let span = RegisterSpan(table: .holding, start: 0, registerCount: 1)
        _ = try await bus.read(span, unit: 1, timeout: StreamBusTests.timeout)
        let session = await bus.session
        func write(_ session: UInt64) async -> Bool {
            do throws(WriteFailure) {
                try await bus.write(.register(7, 1), unit: 1, timeout: StreamBusTests.timeout, session: session)
                return true
            } catch {
                #expect(error == .openedAnew)
                return false
            }
        }
        #expect(await !write(session + 1))
        await bus.close()
        #expect(await !write(session))
        let now = await bus.session
        #expect(now == session + 1 && server.writes.isEmpty)
        #expect(await write(now))
        #expect(server.writes.count == 1)
        await bus.close()
    }

    @Test func nothingIsSentOnAConnectionThatTheWriterDoesNotMean() async throws {
        let server = try LibmodbusServer()
        defer { server.stop() }
        try await Self.writeInSessions(
            Self.make(.tcp(Endpoint(host: "127.0.0.1", port: server.port))), to: server)
        let line = try Self.line()
        let device = try LibmodbusServer(path: line.device)
        defer { device.stop() }
        try await Self.writeInSessions(
            Self.make(
                .serial(
                    SerialLine(
                        path: line.gateway, baud: 115_200,
                        format: SerialFormat(dataBits: 8, parity: .none, stopBits: 1)))), to: device)
        line.socat.stop()
    }

    @Test func aDeviceThatRefusesToSayWhoItIsIsToldFromOneThatIsSilent() async throws {
        let server = try LibmodbusServer()
        defer { server.stop() }
        let bus = Self.make(.tcp(Endpoint(host: "127.0.0.1", port: server.port)))
        // libmodbus takes half a second for a function code that it does not know.
        await #expect(throws: BusError.refused(1)) {
            try await bus.identification(of: 1, timeout: .seconds(3))
        }
        await bus.close()
    }

    /// Two pseudo-terminals that socat connects; the paths of both ends.
    static func line() throws -> (socat: Socat, device: String, gateway: String) {
        let folder = NSTemporaryDirectory() + "/hg-\(UUID().uuidString.prefix(8))"
        let socat = try Socat("PTY,link=\(folder)-a,raw,echo=0", "PTY,link=\(folder)-b,raw,echo=0")
        for _ in 0..<300 where !FileManager.default.fileExists(atPath: "\(folder)-b") { usleep(10_000) }
        return (socat, "\(folder)-a", "\(folder)-b")
    }

    @Test func everyFunctionCodeReachesAForeignDeviceOnceOverASerialLine() async throws {
        let line = try Self.line()
        defer { line.socat.stop() }
        let server = try LibmodbusServer(path: line.device)
        defer { server.stop() }
        let serial = SerialLine(
            path: line.gateway, baud: 115_200, format: SerialFormat(dataBits: 8, parity: .none, stopBits: 1))
        await Self.writeEverything(Self.make(.serial(serial)), to: server)
    }

    @Test func everyFunctionCodeReachesAForeignDeviceOnceOverRTUOverTCP() async throws {
        let line = try Self.line()
        defer { line.socat.stop() }
        let server = try LibmodbusServer(path: line.device)
        defer { server.stop() }
        let port = 20_000 + Int.random(in: 0..<20_000)
        let socat = try Socat("TCP-LISTEN:\(port),bind=127.0.0.1,reuseaddr", "FILE:\(line.gateway),raw,echo=0")
        defer { socat.stop() }
        usleep(300_000)
        await Self.writeEverything(Self.make(.rtuOverTCP(Endpoint(host: "127.0.0.1", port: port))), to: server)
    }

    // MARK: - Hostile peers

    /// What a Modbus TCP peer answers to the write of 0x1234 into register 7, as bytes behind the transaction id.
    static let bad: [(name: String, reply: [UInt8])] = [
        ("another value", [0, 0, 0, 6, 1, 6, 0, 7, 0x12, 0x35]),
        ("another address", [0, 0, 0, 6, 1, 6, 0, 8, 0x12, 0x34]),
        ("another function", [0, 0, 0, 6, 1, 16, 0, 7, 0x12, 0x34]),
        ("another unit", [0, 0, 0, 6, 9, 6, 0, 7, 0x12, 0x34]),
        ("a short echo", [0, 0, 0, 4, 1, 6, 0, 7]), ("a long echo", [0, 0, 0, 7, 1, 6, 0, 7, 0x12, 0x34, 0]),
        ("no protocol", [7, 7, 0, 6, 1, 6, 0, 7, 0x12, 0x34]), ("an exception to another", [0, 0, 0, 3, 1, 0x90, 2]),
        ("acknowledge", [0, 0, 0, 3, 1, 0x86, 5]), ("target silent", [0, 0, 0, 3, 1, 0x86, 0x0B]),
    ]

    @Test(arguments: bad)
    func anAnswerThatIsNotTheEchoLeavesTheWriteIndeterminateAndIsNotRepeated(
        name: String, reply: [UInt8]
    ) async throws {
        let peer = try HostilePeer { number, request in
            .send(Array(request[..<2]) + (number == 0 ? reply : Array(request[2...])))
        }
        defer { peer.stop() }
        let bus = Self.make(.tcp(Endpoint(host: "127.0.0.1", port: peer.port)))
        #expect(Self.isIndeterminate(await Self.failure(bus, .register(7, 0x1234))), "\(name)")
        try await Task.sleep(for: .milliseconds(300))
        #expect(peer.requestCount == 1)
        #expect(await Self.failure(bus, .register(7, 0x1234)) == nil, "the bus recovers")
        #expect(peer.requestCount == 2)
        await bus.close()
    }

    @Test(arguments: [1, 2, 3, 4, 6, 8, 10] as [UInt8])
    func anExceptionRefusesTheWriteByItsCode(code: UInt8) async throws {
        let peer = try HostilePeer { _, request in .send(Array(request[..<4]) + [0, 3, 1, 0x86, code]) }
        defer { peer.stop() }
        let bus = Self.make(.tcp(Endpoint(host: "127.0.0.1", port: peer.port)))
        #expect(await Self.failure(bus, .register(7, 1)) == .refused(code))
        await bus.close()
    }

    @Test(arguments: ["silence", "close"], [false, true])
    func silenceAndALostConnectionLeaveTheWriteIndeterminateAndReachTheDeviceOnce(
        kind: String, isRTU: Bool
    ) async throws {
        let peer = try HostilePeer { number, request in
            if number > 0 { return .send(request) }
            return kind == "silence" ? .silence : .close
        }
        defer { peer.stop() }
        let endpoint = Endpoint(host: "127.0.0.1", port: peer.port)
        let bus = Self.make(isRTU ? .rtuOverTCP(endpoint) : .tcp(endpoint))
        #expect(Self.isIndeterminate(await Self.failure(bus, .register(7, 0x1234))))
        try await Task.sleep(for: .seconds(1))
        #expect(peer.requestCount == 1, "nothing is sent again by reconnecting or by waiting")
        var failure: WriteFailure? = .notSent("")
        for _ in 0..<20 where failure != nil {
            failure = await Self.failure(bus, .register(7, 0x1235))
            if failure != nil { try await Task.sleep(for: .milliseconds(100)) }
        }
        #expect(failure == nil, "the bus recovers")
        await bus.close()
    }

    @Test(arguments: [false, true])
    func aLateEchoIsNotTheAnswerToTheNextWrite(isRTU: Bool) async throws {
        let peer = try HostilePeer { number, request in
            number == 0 ? .late(request, seconds: 0.2) : number == 1 ? .silence : .send(request)
        }
        defer { peer.stop() }
        let endpoint = Endpoint(host: "127.0.0.1", port: peer.port)
        let bus = Self.make(isRTU ? .rtuOverTCP(endpoint) : .tcp(endpoint))
        #expect(Self.isIndeterminate(await Self.failure(bus, .register(7, 1))))
        #expect(Self.isIndeterminate(await Self.failure(bus, .register(7, 2))), "this one was never answered")
        #expect(await Self.failure(bus, .register(7, 3)) == nil)
        #expect(peer.requestCount == 3)
        await bus.close()
    }

    @Test func onRTUOnlyTheExactEchoCounts() async throws {
        let peer = try HostilePeer { _, request in
            let wrong: [UInt8] = [1, 6, 0, 7, 0, 9]
            return .send(wrong + RTUOverTCPTests.crc(wrong) + request)
        }
        defer { peer.stop() }
        let bus = Self.make(.rtuOverTCP(Endpoint(host: "127.0.0.1", port: peer.port)))
        #expect(await Self.failure(bus, .register(7, 1)) == nil)
        await bus.close()
        let liar = try HostilePeer { _, _ in
            let wrong: [UInt8] = [1, 6, 0, 7, 0, 9]
            return .send(wrong + RTUOverTCPTests.crc(wrong))
        }
        defer { liar.stop() }
        let other = Self.make(.rtuOverTCP(Endpoint(host: "127.0.0.1", port: liar.port)))
        #expect(Self.isIndeterminate(await Self.failure(other, .register(7, 1))))
        await other.close()
    }

    @Test func whatCannotBeSentIsSaidToBeUnsent() async throws {
        let peer = try HostilePeer { _, request in .send(request) }
        defer { peer.stop() }
        let endpoint = Endpoint(host: "127.0.0.1", port: peer.port)
        let bus = Self.make(.tcp(endpoint))
        #expect(Self.isNotSent(await Self.failure(bus, .registers(0, Array(repeating: 0, count: 124)))))
        #expect(Self.isNotSent(await Self.failure(bus, .registers(0, []))))
        #expect(Self.isNotSent(await Self.failure(bus, .registers(65_535, [1, 2]))))
        #expect(Self.isNotSent(await Self.failure(bus, .coils(0, Array(repeating: true, count: 1969)))))
        let line = Self.make(.rtuOverTCP(endpoint))
        #expect(Self.isNotSent(await Self.failure(line, .register(0, 1), unit: 0)))
        #expect(peer.requestCount == 0)
        let nobody = Self.make(.tcp(Endpoint(host: "127.0.0.1", port: 1)))
        #expect(Self.isNotSent(await Self.failure(nobody, .register(0, 1))))
        let noPort = Self.make(.serial(SerialLine(path: "/dev/headgate-none", baud: 9600)))
        #expect(Self.isNotSent(await Self.failure(noPort, .register(0, 1))))
        for bus in [bus, line, nobody, noPort] { await bus.close() }
    }

    @Test func aSerialDeviceThatActsAndStaysSilentWasWrittenOnce() async throws {
        let terminal = try PseudoTerminal()
        let serial = SerialLine(
            path: terminal.slavePath, baud: 115_200, format: SerialFormat(dataBits: 8, parity: .none, stopBits: 1))
        let point = Point(name: "p", table: .holding, protocolAddress: 7, encoding: Encoding(type: .uint16))
        let unit = SimulatedUnit(points: [point])
        let server = try SerialSimulator(line: serial, descriptor: terminal.master, units: [1: unit])
        defer { terminal.close() }
        defer { server.stop() }
        server.faults.set(.muteWrites, unit: 1)
        let bus = Self.make(.serial(serial))
        #expect(Self.isIndeterminate(await Self.failure(bus, .register(7, 77))))
        #expect(unit.writes.map(\.words) == [[77]])
        server.faults.set(.exception(6), unit: 1)
        #expect(await Self.failure(bus, .register(7, 78)) == .refused(6))
        #expect(unit.writes.count == 1)
        await bus.close()
    }
}
