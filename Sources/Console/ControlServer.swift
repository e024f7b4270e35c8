package import NIOCore
import NIOPosix

/// Serves the local socket until cancelled: for its owner and its group, nobody else.
package struct ControlServer: Sendable {
    private let path: String
    private let group: any EventLoopGroup
    private let stream: @Sendable (String) async -> ControlStream?
    private let answer: @Sendable (String, Peer) async -> [UInt8]

    /// - Parameters:
    ///   - stream: gives what a request line starts that is answered by many lines; nil for one that ``answer`` is for.
    ///   - answer: makes the JSON line for a request line of somebody.
    package init(
        path: String, group: any EventLoopGroup,
        stream: @escaping @Sendable (String) async -> ControlStream? = { _ in nil },
        answer: @escaping @Sendable (String, Peer) async -> [UInt8]
    ) {
        self.path = path
        self.group = group
        self.stream = stream
        self.answer = answer
    }

    /// - Throws: when the socket cannot be bound.
    package func run() async throws {
        let place = try SocketPlace(path)
        defer { place.clear() }
        let server = try await ServerBootstrap(group: group)
            .serverChannelOption(.backlog, value: 8)
            .bind(unixDomainSocketPath: place.preparation) { channel in
                Self.peer(of: channel).flatMapThrowing { peer in
                    try channel.pipeline.syncOperations.addHandler(ByteToMessageHandler(LineDecoder()))
                    return (peer, try NIOAsyncChannel<ByteBuffer, ByteBuffer>(wrappingChannelSynchronously: channel))
                }
            }
        try place.show()
        try await server.executeThenClose { clients in
            try await withThrowingDiscardingTaskGroup { group in
                for try await (peer, client) in clients { group.addTask { await serve(client, peer) } }
            }
        }
    }

    /// Who connected: taken from the kernel when the connection is made, so that no message can say otherwise.
    private static func peer(of channel: any Channel) -> EventLoopFuture<Peer> {
        guard let provider = channel as? any SocketOptionProvider else {
            return channel.eventLoop.makeFailedFuture(NoCredentials())
        }
        let credentials: EventLoopFuture<Credentials> = provider.unsafeGetSocketOption(
            level: SocketOptionLevel(SOL_SOCKET), name: SO_PEERCRED)
        return credentials.map { Peer(userID: $0.userID) }
    }

    /// A client that goes away in the middle harms nobody.
    private func serve(_ client: NIOAsyncChannel<ByteBuffer, ByteBuffer>, _ peer: Peer) async {
        try? await client.executeThenClose { requests, replies in
            let writer = ControlWriter { try await replies.write(ByteBuffer(bytes: $0 + [UInt8(ascii: "\n")])) }
            var lines = requests.makeAsyncIterator()
            while let request = try await lines.next() {
                let line = String(buffer: request)
                guard let stream = await stream(line) else {
                    try await writer.write(await answer(line, peer))
                    continue
                }
                try await withThrowingTaskGroup(of: Void.self) { group in
                    group.addTask { try await stream(writer) }
                    // The stream ends with its client, however that ends. It says itself when there is no more to come.
                    while try await lines.next() != nil {}
                    group.cancelAll()
                }
                return
            }
        }
    }
}

/// Writes the lines that answer one request, until it returns; cancelled when its client goes away.
package typealias ControlStream = @Sendable (ControlWriter) async throws -> Void

/// Takes one JSON line after the other; waits while the client is slow, and throws once it is gone.
package struct ControlWriter: Sendable {
    package let write: @Sendable ([UInt8]) async throws -> Void
}

/// `struct ucred` of `unix(7)`, which the C library shows to GNU programs only.
private struct Credentials {
    var processID: pid_t = 0
    var userID: uid_t = 0
    var groupID: gid_t = 0
}

/// The kernel does not say who is at the other end.
private struct NoCredentials: Error {}

/// Cuts the stream into lines of bounded length.
private struct LineDecoder: ByteToMessageDecoder {
    typealias InboundOut = ByteBuffer

    /// The client sent more than a request can be.
    struct TooLong: Error {}

    mutating func decode(context: ChannelHandlerContext, buffer: inout ByteBuffer) throws -> DecodingState {
        guard let end = buffer.readableBytesView.firstIndex(of: UInt8(ascii: "\n")) else {
            guard buffer.readableBytes <= ControlProtocol.requestLimit else { throw TooLong() }
            return .needMoreData
        }
        let line = buffer.readSlice(length: end - buffer.readerIndex) ?? ByteBuffer()
        buffer.moveReaderIndex(forwardBy: 1)
        context.fireChannelRead(wrapInboundOut(line))
        return .continue
    }

    mutating func decodeLast(
        context: ChannelHandlerContext, buffer: inout ByteBuffer, seenEOF: Bool
    ) throws -> DecodingState {
        try decode(context: context, buffer: &buffer)
    }
}
