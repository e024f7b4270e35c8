import Foundation

/// The lines of a file of any size, one at a time.
struct LineReader {
    private let handle: FileHandle
    private var buffer = Data()
    private var isAtEnd = false

    private static let chunk = 1 << 20
    /// A line beyond this is no document of Headgate's.
    private static let lineLimit = 256 << 20

    init(_ handle: FileHandle) {
        self.handle = handle
    }

    /// The next line without its end; nil after the last.
    mutating func next() throws -> Data? {
        var searched = buffer.startIndex
        while true {
            if let end = buffer[searched...].firstIndex(of: UInt8(ascii: "\n")) {
                let line = buffer[buffer.startIndex..<end]
                buffer = buffer[(end + 1)...]
                return line
            }
            if isAtEnd || buffer.count > Self.lineLimit {
                defer { buffer = Data() }
                return buffer.isEmpty ? nil : buffer
            }
            searched = buffer.endIndex
            guard let more = try handle.read(upToCount: Self.chunk), !more.isEmpty else {
                isAtEnd = true
                continue
            }
            // A slice that grows would keep everything before it.
            let offset = searched - buffer.startIndex
            buffer = Data(buffer)
            buffer.append(more)
            searched = buffer.startIndex + offset
        }
    }
}
