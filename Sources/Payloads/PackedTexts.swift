/// Many short texts, one behind the other in one piece of memory: as arrays of their own each would have a head and a count
/// of references, and every use would change that.
struct PackedTexts: Sendable {
    private var bytes: [UInt8] = []
    /// Where each text ends and the next one begins.
    private var ends: [Int] = []

    init(_ texts: some Collection<String>) {
        ends.reserveCapacity(texts.count)
        for text in texts {
            bytes.append(contentsOf: text.utf8)
            ends.append(bytes.count)
        }
    }

    var count: Int { ends.count }

    func withText<Result>(_ index: Int, _ body: (UnsafeBufferPointer<UInt8>) -> Result) -> Result {
        let start = index == 0 ? 0 : ends[index - 1]
        return bytes.withUnsafeBufferPointer { body(UnsafeBufferPointer(rebasing: $0[start..<ends[index]])) }
    }
}
