package import Model

/// What time it is, by both clocks.
package struct Moment: Hashable, Sendable {
    package var utc: UnixTime
    /// Monotonic, see ``Timekeeper``.
    package var uptime: Duration

    package init(utc: UnixTime, uptime: Duration) {
        self.utc = utc
        self.uptime = uptime
    }
}

/// A moment at which something ends. It is due as soon as either clock says so: UTC survives a restart, and uptime goes on
/// when somebody sets UTC back.
package struct Deadline: Hashable, Sendable {
    package var utc: UnixTime
    package var uptime: Duration
    /// How far away it was when it was set; nil where that is no longer known.
    package var length: Duration?

    package init(_ duration: Duration, after moment: Moment) {
        utc = moment.utc + duration
        uptime = moment.uptime + duration
        length = duration
    }

    /// A deadline that was stored, seen from `moment`: never further away than it was when it was set, whatever became of UTC.
    package init(stored utc: UnixTime, length: Duration? = nil, at moment: Moment) {
        let left = max(.zero, utc - moment.utc)
        let bounded = min(left, length ?? left)
        self.utc = bounded < left ? moment.utc + bounded : utc
        uptime = moment.uptime + bounded
        self.length = length
    }

    package func isDue(at moment: Moment) -> Bool {
        utc <= moment.utc || uptime <= moment.uptime
    }

    /// Whether both clocks say so: for what must not end because one of them was wrong for a while.
    package func isOver(at moment: Moment) -> Bool {
        utc <= moment.utc && uptime <= moment.uptime
    }
}
