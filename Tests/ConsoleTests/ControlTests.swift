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
        let server = ControlServer(path: path, group: loops) { Array("{\"asked\":\"\($0)\"}".utf8) }
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try? await server.run() }
            let client = ControlClient(stateFolder: folder)
            var reply: String?
            for _ in 0..<100 where reply == nil {
                reply = client.ask("status")
                if reply == nil { try await Task.sleep(for: .milliseconds(20)) }
            }
            #expect(reply == #"{"asked":"status"}"#)
            #expect(client.ask(String(repeating: "x", count: 100_000), timeout: .seconds(2)) == nil)
            #expect(client.ask("read chiller1") == #"{"asked":"read chiller1"}"#)
            group.cancelAll()
        }
        try await loops.shutdownGracefully()
        #expect(ControlClient(stateFolder: "/nonexistent").ask("status") == nil)
    }
}
