import Console
import Foundation
import NIOCore
import NIOPosix
import Testing

@Suite(.serialized) struct ControlTests {
    @Test func requestsAreAnsweredLineByLineAndJunkHarmsNobody() async throws {
        let folder = try Self.folder()
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
            let tooLong = client.ask(String(repeating: "x", count: 100_000), timeout: .seconds(2))
            #expect(tooLong == nil || tooLong == #"{"error":"a request has at most 4096 bytes"}"#)
            #expect(client.ask("read chiller1") == #"{"asked":"read chiller1","uid":\#(geteuid())}"#)
            group.cancelAll()
        }
        try await loops.shutdownGracefully()
        #expect(ControlClient(stateFolder: "/nonexistent").ask("status") == nil)
    }

    @Test func theSocketAppearsWithItsModeAndInPlaceOfAnOlderOne() async throws {
        let folder = try Self.folder()
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let path = folder + "/" + ControlProtocol.socketName
        let loops = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        for round in 1...2 {
            // What a kill in the middle leaves is no obstacle.
            #expect(mkdir(folder + "/.control", 0o755) == 0)
            #expect(FileManager.default.createFile(atPath: folder + "/.control/s", contents: nil))
            let watcher = inotify_init1(Int32(IN_NONBLOCK))
            defer { close(watcher) }
            #expect(inotify_add_watch(watcher, folder, UInt32(IN_CREATE | IN_MOVED_TO | IN_ATTRIB)) > 0)
            let server = ControlServer(path: path, group: loops) { _, _ in [] }
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask { try? await server.run() }
                let client = ControlClient(stateFolder: folder)
                for _ in 0..<200 where client.ask("") == nil { try await Task.sleep(for: .milliseconds(10)) }
                group.cancelAll()
            }
            // Moved to its name once, neither created there nor changed there.
            let happened = Self.events(watcher).filter { $0.name == ControlProtocol.socketName }.map(\.mask)
            #expect(happened == [UInt32(IN_MOVED_TO)], "round \(round)")
            let mode = try FileManager.default.attributesOfItem(atPath: path)[.posixPermissions] as? Int
            #expect(mode == 0o660)
            #expect(try FileManager.default.contentsOfDirectory(atPath: folder) == [ControlProtocol.socketName])
        }
        try await loops.shutdownGracefully()
    }

    @Test func whatIsNoSocketIsNotReplacedByOne() async throws {
        let folder = try Self.folder()
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let path = folder + "/" + ControlProtocol.socketName
        #expect(FileManager.default.createFile(atPath: path, contents: Data("precious".utf8)))
        let loops = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        await #expect(throws: IOError.self) {
            try await ControlServer(path: path, group: loops) { _, _ in [] }.run()
        }
        #expect(try String(contentsOfFile: path, encoding: .utf8) == "precious")
        try await loops.shutdownGracefully()
    }

    /// A new folder with a path short enough for sockets.
    private static func folder() throws -> String {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("hg-\(UUID().uuidString.prefix(8))")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        return folder.path
    }

    /// What a watcher has seen so far.
    private static func events(_ watcher: Int32) -> [(name: String, mask: UInt32)] {
        let headSize = MemoryLayout<inotify_event>.size
        var bytes = [UInt8](repeating: 0, count: 65_536)
        let count = max(0, read(watcher, &bytes, bytes.count))
        var rest = bytes[..<count]
        var events: [(String, UInt32)] = []
        while rest.count >= headSize {
            let head = rest.withUnsafeBytes { $0.loadUnaligned(as: inotify_event.self) }
            let name = rest.dropFirst(headSize).prefix(Int(head.len)).prefix { $0 != 0 }
            events.append((String(decoding: name, as: UTF8.self), head.mask))
            rest = rest.dropFirst(headSize + Int(head.len))
        }
        return events
    }

    @Test func anAccountHasItsName() {
        #expect(Peer(userID: 0).userName == "root")
        #expect(Peer(userID: 4_000_000_000).userName == nil)
    }
}
