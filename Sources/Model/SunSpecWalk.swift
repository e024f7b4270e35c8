/// Finding out which models a device holds: the mark first, then from header to header. It only ever reads, and comes to an
/// end whatever the device answers.
package struct SunSpecWalk: Hashable, Sendable {
    /// What the device said to a read.
    package enum Answer: Hashable, Sendable {
        case words([UInt16])
        /// An exception that is about the address.
        case refused
    }

    package enum Step: Hashable, Sendable {
        case read(RegisterSpan)
        case found(SunSpecChain)
        /// It is no device with models, or its models make no sense; says so in words.
        case failed(String)
    }

    package private(set) var step: Step
    private var bases = SunSpecChain.bases[...]
    private var chain = SunSpecChain(base: 0, entries: [], end: nil)
    private var isOnMark = true

    /// No device has so many; one whose headers lead in circles would.
    package static let longestChain = 100

    package init() {
        step = .failed("")
        tryNextBase()
    }

    private mutating func tryNextBase() {
        guard let base = bases.popFirst() else {
            let places = SunSpecChain.bases.map(String.init).joined(separator: ", ")
            step = .failed("there is no mark SunS at holding \(places)")
            return
        }
        chain.base = base
        isOnMark = true
        step = .read(RegisterSpan(table: .holding, start: base, registerCount: SunSpecChain.mark.count))
    }

    package mutating func received(_ answer: Answer) {
        guard case .read(let span) = step else { return }
        switch answer {
        case .refused where isOnMark: tryNextBase()
        case .refused: finish(end: nil)
        case .words(let words) where isOnMark:
            guard words == SunSpecChain.mark else { return tryNextBase() }
            isOnMark = false
            readHeader(at: span.end)
        case .words(let words):
            guard words.count == 2 else { return step = .failed("\(span) gave \(words.count) registers") }
            receivedHeader(id: words[0], length: Int(words[1]), at: span.start)
        }
    }

    private mutating func receivedHeader(id: UInt16, length: Int, at start: UInt16) {
        if id == SunSpecChain.endMark { return finish(end: start) }
        // Behind their last model some devices have zeros instead of the end mark.
        if id == 0 { return finish(end: nil) }
        chain.entries.append(SunSpecChain.Entry(id: id, start: start, length: length))
        guard chain.entries.count < Self.longestChain else {
            step = .failed("the models do not come to an end: \(chain.entries.count) of them up to holding \(start)")
            return
        }
        readHeader(at: Int(start) + 2 + length)
    }

    private mutating func readHeader(at address: Int) {
        guard address + 2 <= 65_536 else {
            let last =
                chain.entries.last.map { "model \($0.id) of \($0.length) registers at \($0.start)" } ?? "the mark"
            step = .failed("\(last) leads beyond the last address")
            return
        }
        step = .read(RegisterSpan(table: .holding, start: UInt16(address), registerCount: 2))
    }

    private mutating func finish(end: UInt16?) {
        chain.end = end
        step =
            chain.entries.isEmpty
            ? .failed("there is no model behind the mark at holding \(chain.base)") : .found(chain)
    }
}
