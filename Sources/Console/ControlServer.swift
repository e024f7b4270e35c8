package import NIOCore
import NIOPosix

/// Serves the local socket until cancelled: for its owner and its group, nobody else.
package struct ControlServer: Sendable {
    private let path: String
    private let group: any EventLoopGroup
    private let clients: ControlClients
    private let stream: @Sendable (String) async -> ControlStream?
    private let answer: @Sendable (String, Peer) async -> [UInt8]

    /// - Parameters:
    ///   - stream: gives the job that a request line starts and that is answered by many lines; nil for one that ``answer``
    ///     is for.
    ///   - answer: makes the JSON line for a request line of somebody.
    package init(
        path: String, group: any EventLoopGroup, clients: ControlClients = ControlClients(),
        stream: @escaping @Sendable (String) async -> ControlStream? = { _ in nil },
        answer: @escaping @Sendable (String, Peer) async -> [UInt8]
    ) {
        self.path = path
        self.group = group
        self.clients = clients
        self.stream = stream
        self.answer = answer
    }

    private typealias Client = NIOAsyncChannel<RequestLine, ByteBuffer>

    /// - Throws: when the socket cannot be bound.
    package func run() async throws {
        let place = try SocketPlace(path)
        defer { place.clear() }
        let server = try await ServerBootstrap(group: group)
            .serverChannelOption(.backlog, value: 8)
            .bind(unixDomainSocketPath: place.preparation) { [clients] channel in
                Self.peer(of: channel).flatMapThrowing { peer in
                    let handlers = channel.pipeline.syncOperations
                    try handlers.addHandler(IdleStateHandler(allTimeout: ControlProtocol.idleTime))
                    try handlers.addHandler(ByteToMessageHandler(LineDecoder()))
                    try handlers.addHandler(QuietClients(clients))
                    return (peer, try Client(wrappingChannelSynchronously: channel))
                }
            }
        try place.show()
        try await server.executeThenClose { arrivals in
            try await withThrowingDiscardingTaskGroup { group in
                for try await (peer, client) in arrivals { group.addTask { await serve(client, peer) } }
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
    private func serve(_ client: Client, _ peer: Peer) async {
        let channel = client.channel
        let isIn = clients.enter(channel)
        defer { if isIn { clients.leave(channel) } }
        try? await client.executeThenClose { requests, replies in
            let writer = ControlWriter { try await replies.write(ByteBuffer(bytes: $0 + [UInt8(ascii: "\n")])) }
            guard isIn else { return try await writer.write(ControlProtocol.full) }
            var lines = requests.makeAsyncIterator()
            while let line = try await lines.next() {
                guard case .request(let request) = line else {
                    clients.noteLongRequest()
                    return try await writer.write(ControlProtocol.tooLong)
                }
                clients.note(channel, isWaiting: true)
                if let stream = await stream(request) {
                    guard clients.beginJob() else {
                        try await writer.write(ControlProtocol.busy)
                        clients.note(channel, isWaiting: false)
                        continue
                    }
                    return try await withThrowingTaskGroup(of: Void.self) { group in
                        group.addTask { try await run(stream, writer, channel) }
                        // The job ends with its client, however that ends.
                        while try await lines.next() != nil {}
                        group.cancelAll()
                    }
                }
                try await writer.write(await answer(request, peer))
                clients.note(channel, isWaiting: false)
            }
        }
    }

    /// Runs a job, which says itself when there is no more to come.
    private func run(_ job: ControlStream, _ writer: ControlWriter, _ channel: any Channel) async throws {
        defer {
            clients.endJob()
            clients.note(channel, isWaiting: false)
        }
        try await job(writer)
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

/// What a client sent.
private enum RequestLine: Sendable {
    case request(String)
    /// Longer than a request can be.
    case tooLong
}

/// Cuts the stream into lines of bounded length.
private struct LineDecoder: ByteToMessageDecoder {
    typealias InboundOut = RequestLine

    /// What follows a line that is too long is of no interest: the connection ends.
    private var isOver = false

    mutating func decode(context: ChannelHandlerContext, buffer: inout ByteBuffer) throws -> DecodingState {
        guard !isOver else {
            buffer.clear()
            return .needMoreData
        }
        let end = buffer.readableBytesView.firstIndex(of: UInt8(ascii: "\n"))
        let length = (end ?? buffer.writerIndex) - buffer.readerIndex
        guard length <= ControlProtocol.requestLimit else {
            isOver = true
            buffer.clear()
            context.fireChannelRead(wrapInboundOut(.tooLong))
            return .needMoreData
        }
        guard end != nil else { return .needMoreData }
        let line = buffer.readSlice(length: length) ?? ByteBuffer()
        buffer.moveReaderIndex(forwardBy: 1)
        context.fireChannelRead(wrapInboundOut(.request(String(buffer: line))))
        return .continue
    }

    mutating func decodeLast(
        context: ChannelHandlerContext, buffer: inout ByteBuffer, seenEOF: Bool
    ) throws -> DecodingState {
        try decode(context: context, buffer: &buffer)
    }
}

/// Has clients leave that are quiet for too long.
private final class QuietClients: ChannelInboundHandler {
    typealias InboundIn = RequestLine
    typealias InboundOut = RequestLine

    private let clients: ControlClients

    init(_ clients: ControlClients) {
        self.clients = clients
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if event is IdleStateHandler.IdleStateEvent { clients.isQuiet(context.channel) }
        context.fireUserInboundEventTriggered(event)
    }
}
