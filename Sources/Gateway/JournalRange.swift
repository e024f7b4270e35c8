package import Engine
package import Model
import SQLiteJournal

/// One end of a stretch of the journal as people name it: a time, or a position (`seq`).
package enum JournalEnd: Hashable, Sendable {
    case time(UnixTime)
    case position(Position)

    /// `2026-11-20T23:41:07Z`, `2026-11-20` (midnight UTC) or a `seq`; nil for anything else.
    package init?(_ text: String) {
        if let position = Position(text, in: Position.storable) {
            self = .position(position)
        } else if let time = UnixTime(rfc3339: text) ?? UnixTime(rfc3339: text + "T00:00:00Z") {
            self = .time(time)
        } else {
            return nil
        }
    }
}

/// A stretch of the journal: readings from `from` up to but not including `to` where these are times, rows from `from` to
/// `to` where they are positions.
package struct JournalRange: Hashable, Sendable {
    package var from: JournalEnd?
    package var to: JournalEnd?

    /// Rows are journaled shortly after their readings were taken; that much earlier and later a row may hold a reading of
    /// the stretch. The clock may have been corrected in between.
    private static let margin = (before: Duration.seconds(60), after: Duration.seconds(600))

    package init(from: JournalEnd? = nil, to: JournalEnd? = nil) {
        self.from = from
        self.to = to
    }

    var start: Position { if case .position(let position)? = from { position } else { 1 } }

    /// The first position behind the stretch.
    var end: Position {
        if case .position(let position)? = to, position < .max { position + 1 } else { .max }
    }

    /// When the rows were journaled that may hold readings of the stretch.
    var recorded: Range<UnixTime>? {
        let earliest = fromTime.map { $0 - Self.margin.before } ?? UnixTime(microseconds: .min)
        let latest = toTime.map { $0 + Self.margin.after } ?? UnixTime(microseconds: .max)
        if fromTime == nil, toTime == nil { return nil }
        return earliest..<max(earliest, latest)
    }

    func contains(_ time: UnixTime) -> Bool {
        fromTime.map { $0 <= time } ?? true && toTime.map { time < $0 } ?? true
    }

    private var fromTime: UnixTime? { if case .time(let time)? = from { time } else { nil } }
    private var toTime: UnixTime? { if case .time(let time)? = to { time } else { nil } }
}
