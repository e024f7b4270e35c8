package import Model

/// What happened while the ledger could not be written: recorded in one commit as soon as it can be again. Until then nothing
/// that says more than who holds what leaves the gateway.
package struct Backlog: Sendable {
    /// Entries that are kept. Beyond, nothing more is done without a ledger.
    package static let leafLimit = 10_000
    /// Lockouts of one issuer that are followed. Beyond, they are refused.
    static let orderLimit = 100

    /// Since when.
    package let since: UnixTime
    private var output = DeskOutput()
    /// Writes of fallbacks that no entry announced.
    private var writeCount = 0
    /// Lockouts that were followed, by issuer.
    private(set) var orders: [String: Int] = [:]

    package init(since: UnixTime) {
        self.since = since
    }

    package var leafCount: Int { output.leaves.count }
    package var isFull: Bool { output.leaves.count >= Self.leafLimit }

    /// Whether an event may happen now; of those that an issuer sends only so many.
    mutating func admits(_ event: DeskEvent) -> Bool {
        guard event.mayBeUnrecorded else { return false }
        guard case .order(let order) = event else { return true }
        orders[order.sender.name, default: 0] += 1
        return orders[order.sender.name, default: 0] <= Self.orderLimit
    }

    /// Keeps what must wait for the ledger; what is left may be done now.
    package mutating func keep(_ effects: [DeskEffect]) -> [DeskEffect] {
        var now: [DeskEffect] = []
        for effect in effects {
            switch effect {
            case .commit(let records, let leaves):
                for record in records { output.record(record) }
                output.leaves += leaves
            case .publish(.slot), .publish(.unclaimed), .readBack, .look, .collect: now.append(effect)
            case .publish(let message): output.messages.append(message)
            // Who may ask elsewhere must not wait in vain; who was obeyed hears it once it cannot be forgotten.
            case .answer(_, let refusal):
                if refusal == nil { output.replies.append(effect) } else { now.append(effect) }
            case .acknowledge: output.replies.append(effect)
            // A device whose gateway cannot account for itself shall fall back by itself.
            case .beat: continue
            case .write:
                writeCount += 1
                now.append(effect)
            }
        }
        return now
    }

    /// The commit of all of it, with an entry that says that it comes late, and why.
    package func commit(gateway: String, at now: UnixTime) -> (records: [LedgerRecord], leaves: [[UInt8]]) {
        let records = output.order.map { key in
            LedgerRecord(kind: key.kind, key: key.key, body: output.bodies[key] ?? nil)
        }
        let document = JSONValue.compact([
            ("schema", .string("audit/1")), ("gateway", .string(gateway)), ("time", .time(now)),
            ("kind", .string("ledger_away")), ("since", .time(since)), ("entries", .integer(output.leaves.count)),
            ("writes", .integer(writeCount)),
        ])
        return (records, output.leaves + [document.bytes])
    }

    /// What could not be said until it was recorded.
    package var belated: [DeskEffect] { output.messages.map { .publish($0) } + output.replies }
}

extension CommandDesk {
    /// What must go on if the next commit fails: the desk without what only requests need, which are refused then.
    package var keepsake: CommandDesk {
        var desk = self
        desk.finished = FinishedBook()
        desk.buckets = [:]
        desk.readings = readings.only([])
        return desk
    }

    /// The desk as it was recorded last, in charge of what was granted and of nothing else. What nobody records goes over from
    /// the desk that was ahead of the ledger.
    package func withoutLedger(after ahead: CommandDesk) -> CommandDesk {
        var desk = self
        desk.isUnrecorded = true
        desk.readings = ahead.readings
        desk.heard = ahead.heard
        desk.brokerLost = ahead.brokerLost
        desk.readyUntil = ahead.readyUntil
        desk.doubts = ahead.doubts
        desk.figures = ahead.figures
        return desk
    }

    /// Whether anything is out that must not be forgotten.
    var isInCharge: Bool {
        !commands.isEmpty || points.values.contains { $0.restoration != nil || $0.busy != nil }
    }
}

extension DeskEvent {
    /// Whether it may happen without a ledger: what devices, time and the plant do, and whatever stops something.
    package var mayBeUnrecorded: Bool {
        switch self {
        case .request, .junk, .decision: false
        case .order(let order): order.order.isStop
        case .readings, .wrote, .readBack, .looked, .beaten, .broker, .readiness, .outcome, .tick, .stop, .withdraw:
            true
        }
    }
}
