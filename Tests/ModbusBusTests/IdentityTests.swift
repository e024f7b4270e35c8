import Engine
import Foundation
import Model
import NIOPosix
import Simulator
import Testing

@testable import ModbusBus

/// Who a device says it is: FC17 from libmodbus, FC43/14 from a device that answers as the test says.
@Suite(.serialized, .timeLimit(.minutes(1))) struct IdentityTests {
    static func object(_ id: UInt8, _ text: String) -> [UInt8] { [id, UInt8(text.utf8.count)] + Array(text.utf8) }

    /// A reply to FC43/14; `more` is where it goes on.
    static func part(_ objects: [(UInt8, String)], conformity: UInt8 = 1, more: UInt8? = nil) -> [UInt8] {
        [0x2B, 0x0E, 1, conformity, more == nil ? 0 : 0xFF, more ?? 0, UInt8(objects.count)]
            + objects.flatMap { object($0.0, $0.1) }
    }

    static let acme: [UInt8] = part([(0, "ACME"), (1, "Pump 7"), (2, "1.4")])

    /// Asks a TCP device that answers FC43 with `answer(object)`, and FC17 with exception 01.
    static func describe(_ answer: @escaping @Sendable (UInt8) -> [UInt8]) async throws -> (DeviceDescription, Int) {
        let peer = try HostilePeer { _, request in
            let pdu = request[7] == 0x2B ? answer(request[10]) : [request[7] | 0x80, 1]
            return .send(TCPFrames.frame(transaction: UInt16(request[0]) << 8 | UInt16(request[1]), unit: 1, pdu: pdu))
        }
        defer { peer.stop() }
        let bus = StreamBusTests.bus(peer.port)
        let description = await bus.describe(unit: 1, timeout: .milliseconds(300))
        await bus.close()
        return (description, peer.requestCount)
    }

    @Test func whatLibmodbusSaysAboutItselfIsRead() async throws {
        let server = try LibmodbusServer()
        defer { server.stop() }
        let bus = StreamBusTests.bus(server.port)
        let description = await bus.describe(unit: 1, timeout: .seconds(1))
        #expect(description.serverID?.contains("LMB") == true, "\(description)")
        #expect(description.objects.isEmpty)
        await bus.close()
    }

    @Test func overASerialLineTooAndTheRefusalOfFC43DisturbsNothing() async throws {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("hg-\(UUID().uuidString.prefix(8))")
        let (left, right) = (folder.path + "a", folder.path + "b")
        let socat = try Socat("pty,raw,echo=0,link=\(left)", "pty,raw,echo=0,link=\(right)")
        defer { socat.stop() }
        for _ in 0..<100 where !FileManager.default.fileExists(atPath: right) { usleep(20_000) }
        let server = try LibmodbusServer(path: right)
        defer { server.stop() }
        let bus = SerialPortTests.bus(SerialPortTests.line(left))
        let description = await bus.describe(unit: 1, timeout: .milliseconds(500))
        #expect(description.serverID?.contains("LMB") == true, "\(description)")
        #expect((try? await SerialPortTests.read(bus).get()) == [0])
        await bus.close()
    }

    @Test func anAnswerInOnePartIsRead() async throws {
        let (description, requests) = try await Self.describe { _ in Self.acme }
        #expect((description.vendor, description.product, description.revision) == ("ACME", "Pump 7", "1.4"))
        #expect(requests == 2)
    }

    @Test func anAnswerInSeveralPartsIsPutTogether() async throws {
        let (description, requests) = try await Self.describe { object in
            switch object {
            case 0: Self.part([(0, "ACME")], more: 1)
            case 1: Self.part([(1, "Pump 7")], more: 2)
            default: Self.part([(2, "1.4")])
            }
        }
        #expect(description.objects == [0: "ACME", 1: "Pump 7", 2: "1.4"])
        #expect(requests == 4)
    }

    @Test func aDeviceThatSaysMoreForEverIsAskedAFewTimesOnly() async throws {
        let (same, sameRequests) = try await Self.describe { _ in Self.part([(0, "ACME")], more: 0) }
        #expect(same.objects == [0: "ACME"] && sameRequests == 2)
        let (_, requests) = try await Self.describe { Self.part([($0, "x")], more: $0 &+ 1) }
        #expect(requests == 9)
    }

    @Test func aConformityLevelThatDoesNotExistIsLeftAside() async throws {
        let (description, _) = try await Self.describe { _ in Self.part([(0, "ACME")], conformity: 0x47) }
        #expect(description.vendor == "ACME")
    }

    @Test func ofAListThatIsCutShortWhatIsWholeCounts() async throws {
        let (description, _) = try await Self.describe { _ in Array(Self.acme.dropLast(2)) }
        #expect(description.objects == [0: "ACME", 1: "Pump 7"])
        let (none, _) = try await Self.describe { _ in Array(Self.acme.prefix(8)) }
        #expect(none.isEmpty)
    }

    @Test func whoADeviceIsCountsInFullOnly() async throws {
        let peer = try HostilePeer { _, request in
            let pdu = request[10] == 0 ? Self.part([(0, "ACME")], more: 1) : [0xAB, 4]
            return .send(TCPFrames.frame(transaction: UInt16(request[0]) << 8 | UInt16(request[1]), unit: 1, pdu: pdu))
        }
        defer { peer.stop() }
        let bus = StreamBusTests.bus(peer.port)
        await #expect(throws: BusError.refused(4)) {
            _ = try await bus.identification(of: 1, timeout: .milliseconds(300))
        }
        await bus.close()
    }

    @Test func anotherKindOfAnswerIsNone() async throws {
        let (description, _) = try await Self.describe { _ in [0x2B, 0x0D, 1, 1, 0, 0, 1, 0, 1, 65] }
        #expect(description.isEmpty)
        let (refused, _) = try await Self.describe { _ in [0xAB, 1] }
        #expect(refused.isEmpty)
    }

    @Test func overRTUTheLengthComesFromTheAnswerItself() async throws {
        let peer = try HostilePeer { _, request in
            let pdu: [UInt8] = request[1] == 0x2B ? Self.acme : [0x11, 4, 9, 0xFF] + Array("P7".utf8)
            return .dribble(RTUReply.frame(unit: request[0], pdu: pdu))
        }
        defer { peer.stop() }
        let bus = RTUOverTCPTests.bus(peer.port)
        let description = await bus.describe(unit: 1, timeout: .seconds(1))
        #expect(description.objects == [0: "ACME", 1: "Pump 7", 2: "1.4"])
        #expect(description.serverID == "P7")
        let objects = try await bus.identification(of: 1, timeout: .seconds(1))
        #expect(objects == description.objects)
        await bus.close()
    }

    @Test func overASerialLineTheLengthComesFromTheAnswerItself() async throws {
        let terminal = try PseudoTerminal()
        defer { terminal.close() }
        Thread {
            var request = [UInt8](repeating: 0, count: 256)
            while Foundation.read(terminal.master, &request, 256) > 0 {
                let pdu: [UInt8] = request[1] == 0x2B ? Self.acme : [request[1] | 0x80, 1]
                for byte in RTUReply.frame(unit: request[0], pdu: pdu) {
                    _ = Foundation.write(terminal.master, [byte], 1)
                    usleep(500)
                }
            }
        }.start()
        let bus = SerialPortTests.bus(SerialPortTests.line(terminal.slavePath))
        let description = await bus.describe(unit: 1, timeout: .seconds(1))
        #expect(description.objects == [0: "ACME", 1: "Pump 7", 2: "1.4"])
        #expect(description.serverID == nil)
        let objects = try await bus.identification(of: 1, timeout: .seconds(1))
        #expect(objects == description.objects)
        await bus.close()
    }
}
