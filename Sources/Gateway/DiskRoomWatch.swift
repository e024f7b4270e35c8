import Files

/// Decides when little room is news: once, until there is a quarter more than the least again. A pure value.
struct DiskRoomWatch: Sendable {
    enum News: Hashable, Sendable {
        case low, enough
    }

    static let interval = Duration.seconds(60)

    private var isLow = false
    private var next = Duration.zero

    /// Whether it is time to look again.
    mutating func isDue(at uptime: Duration) -> Bool {
        guard uptime >= next else { return false }
        next = uptime + Self.interval
        return true
    }

    mutating func take(_ room: DiskRoom) -> News? {
        if !isLow, room.free < room.least {
            isLow = true
            return .low
        }
        if isLow, room.free >= room.least + room.least / 4 {
            isLow = false
            return .enough
        }
        return nil
    }
}
