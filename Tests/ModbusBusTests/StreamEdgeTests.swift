import Engine
import Foundation
import GatewayTesting
import ModbusBus
import Model
import NIOCore
import NIOPosix
import Testing

/// Modbus TCP and RTU over TCP: the edges that are about the connection and the time rather than about one answer.
@Suite(.serialized, .timeLimit(.minutes(2))) struct StreamEdgeTests {
    static func bus(_ port: Int, isRTU: Bool = false, pause: Duration = .zero) -> any Bus {
        let endpoint = Endpoint(host: "127.0.0.1", port: port)
        let connection = Connection(
            name: "c", channel: isRTU ? .rtuOverTCP(endpoint) : .tcp(endpoint), timeout: StreamBusTests.timeout,
            pause: pause)
        return Buses.make(connection, loop: StreamBusTests.loops.next(), clock: TestClock())
    }

    static func answer(_ request: [UInt8], isRTU: Bool) -> [UInt8] {
        isRTU ? RTUOverTCPTests.answer(request) : rightAnswer(request)
    }

    @Test(arguments: [false, true])
    func aPeerThatHalfClosesIsConnectedToAnew(isRTU: Bool) async throws {
        let peer = try HostilePeer { number, request in
            let answer = Self.answer(request, isRTU: isRTU)
            return number == 0 ? .halfClose(answer) : .send(answer)
        }
        defer { peer.stop() }
        let bus = Self.bus(peer.port, isRTU: isRTU)
        _ = await SerialEdgeTests.read(bus, 1)
        var last: Result<[UInt16], BusError> = .failure(.noResponse)
        for _ in 0..<20 {
            last = await SerialEdgeTests.read(bus, 9)
            if case .success = last { break }
            try await Task.sleep(for: .milliseconds(100))
        }
        #expect(last == .success([9, 10]))
        #expect(peer.clientCount == 2)
        await bus.close()
    }

    @Test func aConnectionOnWhichNothingIsAnsweredAnyMoreIsOpenedAnew() async throws {
        let peer = try HostilePeer { number, request in
            (1...4).contains(number) ? .silence : .send(rightAnswer(request))
        }
        defer { peer.stop() }
        let bus = Self.bus(peer.port)
        #expect(await SerialEdgeTests.read(bus, 1) == .success([1, 2]))
        for _ in 0..<4 {
            guard case .failure = await SerialEdgeTests.read(bus, 2) else {
                Issue.record("nobody answered that")
                return
            }
        }
        #expect(peer.clientCount == 1)
        #expect(await SerialEdgeTests.read(bus, 3) == .success([3, 4]))
        #expect(peer.clientCount == 2, "it may have been half open")
        await bus.close()
    }

    @Test func aRefusingPeerIsNotHammered() async throws {
        let peer = try HostilePeer { _, _ in .close }
        peer.stop()
        let bus = Self.bus(peer.port)
        var answers: Set<BusError> = []
        let begun = ContinuousClock.now
        for _ in 0..<1000 {
            guard case .failure(let error) = await SerialEdgeTests.read(bus, 0) else { continue }
            answers.insert(error)
        }
        // All but the first are refused here, until the delay is over.
        #expect(begun.duration(to: .now) < .seconds(2))
        #expect(answers.count == 1)
        await bus.close()
    }

    @Test(arguments: [false, true])
    func anAnswerThatDribblesBeyondTheTimeOutIsNoValueAndTheNextOneIsRight(isRTU: Bool) async throws {
        let peer = try HostilePeer { number, request in
            let answer = Self.answer(request, isRTU: isRTU)
            return number == 0 ? .dribble(answer + answer + answer + answer + answer + answer + answer) : .send(answer)
        }
        defer { peer.stop() }
        let bus = Self.bus(peer.port, isRTU: isRTU)
        let first = await SerialEdgeTests.read(bus, 5, timeout: .milliseconds(12))
        guard case .failure = first else {
            Issue.record("\(first)")
            return
        }
        var last: Result<[UInt16], BusError> = .failure(.noResponse)
        for _ in 0..<20 {
            last = await SerialEdgeTests.read(bus, 9)
            if case .success = last { break }
        }
        #expect(last == .success([9, 10]))
        await bus.close()
    }

    @Test(arguments: Array(1...11) as [UInt8])
    func onRTUOverTCPExceptionsAreToldByTheirCode(code: UInt8) async throws {
        let peer = try HostilePeer { _, request in .send(SerialEdgeTests.framed([request[0], request[1] | 0x80, code]))
        }
        defer { peer.stop() }
        let bus = Self.bus(peer.port, isRTU: true)
        #expect(await SerialEdgeTests.read(bus, 0) == .failure(.refused(code)))
        #expect(await SerialEdgeTests.read(bus, 0) == .failure(.refused(code)))
        #expect(peer.clientCount == 1)
        await bus.close()
    }

    @Test func onRTUOverTCPALateReplyKeepsOnlyItsOwnUnitFromBeingAsked() async throws {
        let peer = try HostilePeer { number, request in
            number == 10 ? .silence : .send(RTUOverTCPTests.answer(request))
        }
        defer { peer.stop() }
        let bus = Self.bus(peer.port, isRTU: true)
        for start in UInt16(0)..<10 { _ = await SerialEdgeTests.read(bus, start) }
        #expect(await SerialEdgeTests.read(bus, 20, timeout: .milliseconds(40)) == .failure(.noResponse))
        #expect(await SerialEdgeTests.read(bus, 30, unit: 2) == .success([30, 31]))
        #expect(await SerialEdgeTests.read(bus, 40) == .success([40, 41]))
        let times = peer.arrivalTimes
        #expect(times[11] - times[10] < 0.15, "the other: \(times[11] - times[10])")
        #expect(times[12] - times[10] >= 0.19, "the same: \(times[12] - times[10])")
        await bus.close()
    }

    @Test(arguments: [0, 255] as [UInt8])
    func theUnitIsSentAsConfigured(unit: UInt8) async throws {
        let peer = try HostilePeer { _, request in request[6] == unit ? .send(rightAnswer(request)) : .silence }
        defer { peer.stop() }
        let bus = Self.bus(peer.port)
        #expect(await SerialEdgeTests.read(bus, 3, unit: unit) == .success([3, 4]))
        await bus.close()
    }

    @Test(arguments: [false, true])
    func theConfiguredPauseIsKeptBetweenRequests(isRTU: Bool) async throws {
        let peer = try HostilePeer { _, request in .send(Self.answer(request, isRTU: isRTU)) }
        defer { peer.stop() }
        let bus = Self.bus(peer.port, isRTU: isRTU, pause: .milliseconds(40))
        for start in UInt16(0)..<10 { _ = await SerialEdgeTests.read(bus, start) }
        let gaps = zip(peer.arrivalTimes.dropFirst(), peer.arrivalTimes).map { $0 - $1 }
        #expect(gaps.count == 9 && gaps.allSatisfy { $0 >= 0.0395 }, "\(gaps)")
        await bus.close()
    }

    // MARK: - Through the poller

    static func poller(
        port: Int, units: Int, inFlight: Int, every: Duration = .milliseconds(50),
        timeout: Duration = StreamBusTests.timeout, board: StatusBoard
    ) -> Poller {
        let endpoint = Endpoint(host: "127.0.0.1", port: port)
        let connection = Connection(name: "c", channel: .tcp(endpoint), timeout: timeout, inFlight: inFlight)
        let clock = TestClock()
        let devices = (1...units).map { unit in
            let point = Point(
                name: "p", table: .holding, protocolAddress: 7, encoding: Encoding(type: .uint16),
                every: every)
            let device = Device(
                id: "d\(unit)", profile: "test/device", revision: 1, connection: "c", unit: UInt8(unit), owner: "us",
                points: [point])
            return PolledDevice(device: device, layout: LayoutID(unit), cost: .tcp)
        }
        return Poller(
            connection: connection, devices: devices,
            bus: Buses.make(connection, loop: StreamBusTests.loops.next(), clock: clock), journal: MemoryJournal(),
            clock: clock, board: board, phase: 0)
    }

    @Test(arguments: [1, 4])
    func everythingOnAnEndpointSharesOneConnection(inFlight: Int) async throws {
        let peer = try HostilePeer { _, bytes in
            .send(stride(from: 0, to: bytes.count, by: 12).flatMap { rightAnswer(Array(bytes[$0..<($0 + 12)])) })
        }
        defer { peer.stop() }
        let poller = Self.poller(port: peer.port, units: 5, inFlight: inFlight, board: StatusBoard())
        try await VerifiedWriteTests.polling(poller) {
            for unit in 1...5 { #expect(await poller.readNow("d\(unit)")?.first?.value == .int(7)) }
            try await Task.sleep(for: .milliseconds(300))
        }
        #expect(peer.requestCount > 20)
        #expect(peer.clientCount == 1)
    }

    @Test(arguments: [0x0A, 0x0B] as [UInt8])
    func aGatewayThatCannotReachOneUnitKeepsItsConnectionAndTheOtherUnits(code: UInt8) async throws {
        let peer = try HostilePeer { _, bytes in
            .send(
                stride(from: 0, to: bytes.count, by: 12).flatMap { start -> [UInt8] in
                    let request = Array(bytes[start..<(start + 12)])
                    guard request[6] == 2 else { return rightAnswer(request) }
                    return Array(request[..<4]) + [0, 3, 2, request[7] | 0x80, code]
                })
        }
        defer { peer.stop() }
        let board = StatusBoard()
        let poller = Self.poller(port: peer.port, units: 3, inFlight: 1, board: board)
        try await VerifiedWriteTests.polling(poller) { try await Task.sleep(for: .milliseconds(600)) }
        #expect(peer.clientCount == 1)
        #expect(board.status(of: "d2")?.trouble == "comm_down")
        #expect(board.status(of: "d2")?.state == .offline)
        for unit in ["d1", "d3"] {
            #expect(board.status(of: unit)?.state == .online)
            #expect(board.status(of: unit)?.failedPolls == 0)
        }
    }
}
