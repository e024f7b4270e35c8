import Engine
import Foundation
import ModbusBus
import Model
import NIOCore
import NIOPosix
import Synchronization
import Testing

/// A Modbus TCP gateway far away: each answer comes a round trip after its request, however many are under way.
final class FarGateway: Sendable {
    private final class Requests: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer
        private let gateway: FarGateway
        private var bytes: [UInt8] = []

        init(_ gateway: FarGateway) {
            self.gateway = gateway
        }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            bytes += unwrapInboundIn(data).readableBytesView
            while bytes.count >= 12 {
                let request = Array(bytes[..<12])
                bytes.removeFirst(12)
                gateway.count.withLock { $0[request[6], default: 0] += 1 }
                guard !gateway.dead.contains(request[6]) else { continue }
                let channel = context.channel
                context.eventLoop.scheduleTask(in: gateway.roundTrip) {
                    channel.writeAndFlush(ByteBuffer(bytes: rightAnswer(request)), promise: nil)
                }
            }
        }
    }

    let port: Int
    private let dead: Set<UInt8>
    private let roundTrip: TimeAmount
    private let count = Mutex<[UInt8: Int]>([:])
    private let listener = Mutex<(any Channel)?>(nil)
    private static let loop = MultiThreadedEventLoopGroup(numberOfThreads: 1)

    init(roundTrip: TimeAmount, dead: Set<UInt8> = []) async throws {
        self.roundTrip = roundTrip
        self.dead = dead
        let handlers = Mutex<FarGateway?>(nil)
        let made = try await ServerBootstrap(group: Self.loop)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    guard let gateway = handlers.withLock({ $0 }) else { return }
                    try channel.pipeline.syncOperations.addHandler(Requests(gateway))
                }
            }
            .bind(host: "127.0.0.1", port: 0).get()
        port = made.localAddress?.port ?? 0
        listener.withLock { $0 = made }
        handlers.withLock { $0 = self }
    }

    /// Requests that came for each unit.
    var requests: [UInt8: Int] { count.withLock { $0 } }

    func stop() async {
        try? await listener.withLock { $0 }?.close().get()
    }
}

@Suite(.serialized, .timeLimit(.minutes(2))) struct PipeliningTests {
    static func poller(_ gateway: FarGateway, units: Int, inFlight: Int, every: Duration, board: StatusBoard) -> Poller
    {
        StreamEdgeTests.poller(
            port: gateway.port, units: units, inFlight: inFlight, every: every, timeout: .milliseconds(500),
            board: board)
    }

    @Test func throughputGrowsWithTheRequestsUnderWay() async throws {
        var rates: [Int: Double] = [:]
        for inFlight in [1, 4, 16] {
            let gateway = try await FarGateway(roundTrip: .milliseconds(50))
            let poller = Self.poller(
                gateway, units: 16, inFlight: inFlight, every: .milliseconds(20), board: StatusBoard())
            let begun = ContinuousClock.now
            var total = 0
            try await VerifiedWriteTests.polling(poller) {
                while total < 20 * inFlight + 16, begun.duration(to: .now) < .seconds(15) {
                    try await Task.sleep(for: .milliseconds(10))
                    total = gateway.requests.values.reduce(0, +)
                }
            }
            rates[inFlight] = Double(total) / begun.duration(to: .now).inSeconds
            #expect(gateway.requests.count == 16, "every unit has its turn: \(gateway.requests)")
            await gateway.stop()
        }
        let (one, four, sixteen) = (rates[1] ?? 0, rates[4] ?? 0, rates[16] ?? 0)
        #expect(one <= 21 && four > one * 2.5 && sixteen > one * 6, "\(rates)")
    }

    @Test func aDeadUnitBehindAGatewayDoesNotHoldUpTheOthers() async throws {
        let gateway = try await FarGateway(roundTrip: .milliseconds(50), dead: [3])
        let board = StatusBoard()
        let poller = Self.poller(gateway, units: 8, inFlight: 4, every: .milliseconds(400), board: board)
        try await VerifiedWriteTests.polling(poller) { try await Task.sleep(for: .seconds(4)) }
        await gateway.stop()
        #expect(board.status(of: "d3")?.state == .offline)
        for unit in (1...8) where unit != 3 {
            let status = try #require(board.status(of: "d\(unit)"))
            #expect(status.state == .online && status.failedPolls == 0 && status.missedPolls == 0, "d\(unit)")
            // Three places are left while the dead one is waited for: nobody waits for its 500 ms.
            let worst = try #require(status.timing.lateness.quantile(1))
            #expect(worst < .milliseconds(300), "d\(unit): \(worst)")
        }
    }
}
