/// Something that a bus found out about its channel, for the log: once for each change.
package struct BusNote: Hashable, Sendable {
    package enum Level: Hashable, Sendable {
        case debug, notice, warning
    }

    package var level: Level
    package var text: String

    init(_ level: Level, _ text: String) {
        self.level = level
        self.text = text
    }
}

/// What a bus tells besides its answers.
package struct BusTelling: Sendable {
    package var trace: TraceTap
    package var note: @Sendable (BusNote) -> Void

    /// - Parameter note: called on the executor of the bus; it must not block.
    package init(trace: TraceTap = TraceTap(), note: @escaping @Sendable (BusNote) -> Void = { _ in }) {
        self.trace = trace
        self.note = note
    }
}
