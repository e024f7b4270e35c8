import Console
import Foundation
import NIOCore
import NIOPosix
import Testing

@Suite(.serialized) struct ControlTests {
    @Test func requestsAreAnsweredLineByLineAndJunkHarmsNobody() async throws {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("hg-\(UUID().uuidString.prefix(8))")
            .path
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let loops = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        let path = folder + "/" + ControlProtocol.socketName
        let server = ControlServer(path: path, group: loops) { line, peer in
            Array("{\"asked\":\"\(line)\",\"uid\":\(peer.userID)}".utf8)
        }
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try? await server.run() }
            let client = ControlClient(stateFolder: folder)
            var reply: String?
            for _ in 0..<100 where reply == nil {
                reply = client.ask("status")
                if reply == nil { try await Task.sleep(for: .milliseconds(20)) }
            }
            // The kernel says who asks, and nobody but owner and group may.
            #expect(reply == #"{"asked":"status","uid":\#(geteuid())}"#)
            let mode = try FileManager.default.attributesOfItem(atPath: path)[.posixPermissions] as? Int
            #expect(mode == 0o660)
            #expect(client.ask(String(repeating: "x", count: 100_000), timeout: .seconds(2)) == nil)
            #expect(client.ask("read chiller1") == #"{"asked":"read chiller1","uid":\#(geteuid())}"#)
            group.cancelAll()
        }
        try await loops.shutdownGracefully()
        #expect(ControlClient(stateFolder: "/nonexistent").ask("status") == nil)
    }

    @Test func anAccountHasItsName() {
        #expect(Peer(userID: 0).userName == "root")
        #expect(Peer(userID: 4_000_000_000).userName == nil)
    }
}
