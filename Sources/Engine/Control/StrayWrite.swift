import Model

/// A write without an answer that was given up: nobody waits for it, and the device may get it all the same.
struct StrayWrite: Hashable, Sendable {
    /// Of the command, with the number of the last write that took it back: none is given twice.
    var tag: WriteTag
    var value: PointValue
    /// Where the point goes if it arrives while nobody holds the point.
    var home: PointValue
    var since: UnixTime
    /// Uptime from which on it is not expected any more.
    var forget: Duration
}

extension CommandDesk {
    /// To be called before the command moves on.
    mutating func expectStray(_ command: ActiveCommand) {
        guard let value = command.value, let home = command.home ?? command.before else { return }
        points[command.point]?.strays.append(
            StrayWrite(
                tag: WriteTag(command: command.id), value: value, home: home, since: now.utc,
                forget: now.uptime + site.limits.strayWrite))
    }

    /// A value that nobody holds any more and that stays is where a late write is taken back to.
    mutating func letStay(_ value: PointValue?, at point: String) {
        guard let value, let strays = points[point]?.strays else { return }
        for index in strays.indices { points[point]?.strays[index].home = value }
    }

    /// To be called when `tag` has written its last: the next return of that command counts on from there.
    mutating func noteRestored(_ tag: WriteTag, at point: String) {
        guard let strays = points[point]?.strays else { return }
        for (index, stray) in strays.enumerated() where stray.tag.command == tag.command {
            points[point]?.strays[index].tag = tag
        }
    }

    /// A value that nobody holds and that a write of ours has asked for is no override: it is that write, and is taken back.
    ///
    /// - Returns: whether it is.
    mutating func takeBackStray(_ sample: ReadingSample) -> Bool {
        guard let control = points[sample.point], !control.strays.isEmpty else { return false }
        points[sample.point]?.strays.removeAll { $0.forget <= now.uptime }
        let occupant = control.slots.highest?.occupant
        guard control.busy == nil, control.restoration == nil, occupant == nil || occupant?.command != nil,
            isTrustworthy(sample.point),
            let stray = points[sample.point]?.strays.first(where: {
                $0.since < sample.time && agree(sample.point, sample.value, $0.value)
            }),
            !agree(sample.point, sample.value, occupant?.value ?? stray.home)
        else { return false }
        points[sample.point]?.strays.removeAll { $0 == stray }
        leaf(
            "late_write",
            [
                ("point", .string(sample.point)), ("id", .string(stray.tag.command.description)),
                ("value", JSONValue(sample.value)),
            ])
        start(
            sample.point, [], tag: stray.tag, home: stray.home,
            cause: "a write without an answer took effect after it was given up")
        return true
    }
}
