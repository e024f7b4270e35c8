package import Model

/// A point on its way back to what is in effect without the commands that lost it: the next lower slot, or its fallback.
package struct Restoration: Hashable, Sendable {
    package static let recordKind = "restoration"

    /// Commands that become `reverted` once the point is back.
    package var commands: [CommandID]
    /// The command whose name its writes carry, and the number of the last one.
    package var tag: WriteTag
    /// The fallback; a lower slot that is occupied goes before it.
    package var home: PointValue
    package var cause: String
    /// Attempts since the last success or alarm.
    package var attempts: UInt32 = 0
    package var next: Deadline
    /// The last attempt was sent and nobody knows what the device did: look before the next one.
    package var isUnknown = false
    package var isAlarm = false
    /// Why it is an alarm, in words.
    package var trouble: String?
    /// The site file no longer has the point, and the ledger says so.
    package var isOrphaned = false
    /// The preempted command whose value is being written again, nil for the fallback.
    package var resumes: CommandID?
    /// What the last attempt wrote.
    package var value: PointValue?

    package func record(point: String) -> LedgerRecord {
        let document = JSONValue.compact([
            ("commands", .texts(commands.map(\.description))), ("tag", .string(tag.command.description)),
            ("number", .integer(tag.number)), ("home", .stored(home)), ("cause", .string(cause)),
            ("alarm", .bool(isAlarm)), ("trouble", .optional(trouble)),
            ("orphaned", isOrphaned ? .bool(true) : .null), ("resumes", .optional(resumes?.description)),
            ("value", .stored(value)),
        ])
        return LedgerRecord(kind: Self.recordKind, key: point, body: document.bytes)
    }

    init(commands: [CommandID], tag: WriteTag, home: PointValue, cause: String, next: Deadline) {
        self.commands = commands
        self.tag = tag
        self.home = home
        self.cause = cause
        self.next = next
    }

    /// Reads a record. Whatever was under way when the gateway died may have reached the device: that is looked at first.
    init(record: JSONValue, at now: Moment) throws(RecordError) {
        guard let command = CommandID(try record.requiredText("tag")) else { throw RecordError("tag") }
        guard let number = UInt32(exactly: try record.requiredCount("number")) else { throw RecordError("number") }
        guard let home = record.storedValue("home") else { throw RecordError("home") }
        self.init(
            commands: record["commands"]?.elements.compactMap { $0.text.flatMap(CommandID.init) } ?? [],
            tag: WriteTag(command: command, number: number), home: home, cause: try record.requiredText("cause"),
            next: Deadline(.zero, after: now))
        isAlarm = record["alarm"]?.isTrue ?? false
        trouble = record["trouble"]?.text
        isOrphaned = record["orphaned"]?.isTrue ?? false
        resumes = record["resumes"]?.text.flatMap(CommandID.init)
        value = record.storedValue("value")
        isUnknown = value != nil && number > 0
    }
}
