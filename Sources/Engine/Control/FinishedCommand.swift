package import Model

/// What is remembered of a finished command until nobody can send it again: enough to answer the same bytes with the same
/// state, and to tell other bytes apart.
package struct FinishedCommand: Hashable, Sendable {
    package static let recordKind = "done"

    package var id: CommandID
    package var issuer: String
    package var digest: [UInt8]
    package var point: String
    package var state: CommandState
    package var code: RefusalCode?
    package var readback: PointValue?
    package var expires: UnixTime
    /// The same bytes are refused as expired from here on. By both clocks: a wall clock that was ahead for a while and is set
    /// back must not make an id usable again.
    package var forget: Deadline

    package var record: LedgerRecord {
        let document = JSONValue.compact([
            ("issuer", .string(issuer)), ("digest", .hex(digest)), ("point", .string(point)),
            ("state", .string(state.rawValue)), ("code", .optional(code?.rawValue)), ("readback", .stored(readback)),
            ("expires", .stored(expires)), ("forget", .stored(forget.utc)),
        ])
        return LedgerRecord(kind: Self.recordKind, key: id.description, body: document.bytes)
    }

    init(
        id: CommandID, issuer: String, digest: [UInt8], point: String, state: CommandState, code: RefusalCode?,
        readback: PointValue?, expires: UnixTime, forget: Deadline
    ) {
        self.id = id
        self.issuer = issuer
        self.digest = digest
        self.point = point
        self.state = state
        self.code = code
        self.readback = readback
        self.expires = expires
        self.forget = forget
    }

    /// Reads a record. How far the clock was from the truth when it was written nobody knows: `remember` is how long an id is
    /// kept at least.
    init(key: String, record: JSONValue, at now: Moment, remember: Duration) throws(RecordError) {
        guard let id = CommandID(key) else { throw RecordError("key") }
        guard let state = record["state"]?.text.flatMap(CommandState.init(rawValue:)) else {
            throw RecordError("state")
        }
        let forget = try record.requiredTime("forget")
        self.init(
            id: id, issuer: try record.requiredText("issuer"), digest: try record.requiredHex("digest"),
            point: try record.requiredText("point"), state: state,
            code: record["code"]?.text.flatMap(RefusalCode.init(rawValue:)), readback: record.storedValue("readback"),
            expires: record.time("expires") ?? forget, forget: Deadline(stored: forget, at: now))
        self.forget.uptime = max(self.forget.uptime, now.uptime + remember)
    }
}
