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

    package init(_ duration: Duration, after moment: Moment) {
        utc = moment.utc + duration
        uptime = moment.uptime + duration
    }

    /// A deadline that was stored, seen from `moment`.
    package init(stored utc: UnixTime, at moment: Moment) {
        self.utc = utc
        uptime = moment.uptime + max(.zero, utc - moment.utc)
    }

    package func isDue(at moment: Moment) -> Bool {
        utc <= moment.utc || uptime <= moment.uptime
    }
}
