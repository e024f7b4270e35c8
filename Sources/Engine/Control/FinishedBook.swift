import Model

/// The finished commands whose ids are still known, and how many of them each issuer has.
struct FinishedBook: Sendable {
    private var commands: [CommandID: FinishedCommand] = [:]
    private(set) var counts: [String: Int] = [:]
    /// The latest end of a command that was forgotten. What ends earlier may be one of those, whatever the clock says.
    private(set) var forgotten: UnixTime?

    var count: Int { commands.count }

    subscript(id: CommandID) -> FinishedCommand? { commands[id] }

    mutating func insert(_ command: FinishedCommand) {
        remove(command.id)
        commands[command.id] = command
        counts[command.issuer, default: 0] += 1
    }

    /// Lets go of those that nobody can send again; their ids.
    mutating func forget(at now: Moment) -> [CommandID] {
        let over = commands.values.filter { $0.forget.isOver(at: now) }
        for command in over {
            remove(command.id)
            forgotten = max(forgotten ?? command.expires, command.expires)
        }
        return over.map(\.id)
    }

    /// What stays of those that are forgotten.
    var bounds: LedgerRecord {
        let document = JSONValue.compact([("expires", .stored(forgotten))])
        return LedgerRecord(kind: Bounds.recordKind, key: Bounds.requests, body: document.bytes)
    }

    mutating func restoreBounds(_ record: JSONValue) {
        forgotten = record.time("expires")
    }

    private mutating func remove(_ id: CommandID) {
        guard let old = commands.removeValue(forKey: id) else { return }
        counts[old.issuer, default: 0] -= 1
        if counts[old.issuer] == 0 { counts[old.issuer] = nil }
    }
}

/// Divides a bounded room among issuers: half of it belongs to all of them in equal parts, which nobody else can take, and
/// the other half to whoever comes first.
package enum FairShare {
    /// Whether there is room for one more of `issuer`.
    ///
    /// - Parameters:
    ///   - counts: what each has now; also of those who are no longer issuers.
    ///   - limit: of all together.
    ///   - most: of any one.
    ///   - issuers: how many there are.
    package static func hasRoom(
        for issuer: String, counts: [String: Int], limit: Int, most: Int, issuers: Int
    ) -> Bool {
        let own = counts[issuer] ?? 0
        guard own < most else { return false }
        let share = max(1, limit / 2 / max(1, issuers))
        guard own >= share else { return true }
        return counts.values.reduce(0) { $0 + max(0, $1 - share) } < limit - share * issuers
    }
}
