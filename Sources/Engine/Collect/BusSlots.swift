/// Places on the wire: as many as requests may be under way at once. Whoever is urgent goes first, at the next frame boundary.
struct BusSlots {
    private var free: Int
    private var urgent: [CheckedContinuation<Void, Never>] = []
    private var waiting: [CheckedContinuation<Void, Never>] = []

    init(count: Int) {
        free = count
    }

    /// Takes a place if one is free and nobody urgent waits for it.
    mutating func takeIfFree() -> Bool {
        guard free > 0 else { return false }
        free -= 1
        return true
    }

    mutating func wait(_ continuation: CheckedContinuation<Void, Never>, isUrgent: Bool) {
        if isUrgent { urgent.append(continuation) } else { waiting.append(continuation) }
    }

    /// Gives a place back: to the first who waits, urgent ones before all others.
    mutating func release() {
        if !urgent.isEmpty {
            urgent.removeFirst().resume()
        } else if !waiting.isEmpty {
            waiting.removeFirst().resume()
        } else {
            free += 1
        }
    }
}
