package import NIOCore
import NIOPosix

/// Serves the local socket until cancelled.
package struct ControlServer: Sendable {
    private let path: String
    private let group: any EventLoopGroup
    private let answer: @Sendable (String) async -> [UInt8]

    /// - Parameter answer: makes the JSON line for a request line.
    package init(path: String, group: any EventLoopGroup, answer: @escaping @Sendable (String) async -> [UInt8]) {
        self.path = path
        self.group = group
        self.answer = answer
    }

    /// - Throws: when the socket cannot be bound.
    package func run() async throws {
        let server = try await ServerBootstrap(group: group)
            .serverChannelOption(.backlog, value: 8)
            .bind(unixDomainSocketPath: path, cleanupExistingSocketFile: true) { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(ByteToMessageHandler(LineDecoder()))
                    return try NIOAsyncChannel<ByteBuffer, ByteBuffer>(wrappingChannelSynchronously: channel)
                }
            }
        try await server.executeThenClose { clients in
            try await withThrowingDiscardingTaskGroup { group in
                for try await client in clients { group.addTask { await serve(client) } }
            }
        }
    }

    /// A client that goes away in the middle harms nobody.
    private func serve(_ client: NIOAsyncChannel<ByteBuffer, ByteBuffer>) async {
        try? await client.executeThenClose { requests, replies in
            for try await request in requests {
                let reply = await answer(String(buffer: request))
                try await replies.write(ByteBuffer(bytes: reply + [UInt8(ascii: "\n")]))
            }
        }
    }
}

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
