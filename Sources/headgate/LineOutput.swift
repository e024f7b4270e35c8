import Foundation

/// Lines to stdout, in large pieces.
final class LineOutput {
    private let handle: FileHandle
    private var buffer = Data()
    private static let chunk = 1 << 18

    init(_ handle: FileHandle = .standardOutput) {
        self.handle = handle
    }

    /// - Throws: in words, where the output takes no more, like ``flush()``.
    func line(_ bytes: [UInt8]) throws {
        buffer.append(contentsOf: bytes)
        buffer.append(UInt8(ascii: "\n"))
        if buffer.count >= Self.chunk { try flush() }
    }

    func flush() throws {
        do {
            try handle.write(contentsOf: buffer)
        } catch {
            throw ValidationFailure("the output cannot be written: \(error.localizedDescription)")
        }
        buffer.removeAll(keepingCapacity: true)
    }
}
