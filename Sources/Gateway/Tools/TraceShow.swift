package import ModbusBus

/// Shows what a bus of this process says, for tools that open a connection themselves.
package struct TraceShow: Sendable {
    private let tap = TraceTap()
    private let listener: TraceListener
    private let show: @Sendable (String) -> Void

    package init(_ show: @escaping @Sendable (String) -> Void) {
        self.show = show
        listener = tap.listen()
    }

    package var telling: BusTelling { BusTelling(trace: tap) }

    /// Until ``end()``, and then what is left.
    package func run() async {
        while let (events, lost) = await listener.next() {
            for event in events { show(event.text) }
            if lost > 0 { show("\(lost) more were not shown") }
        }
    }

    package func end() {
        tap.end(listener)
    }
}
