/// Rows that were sent in several parts because the broker takes no packet that large: a row is done when all its parts
/// are acknowledged, and refused as soon as one is.
struct PartsInFlight: Sendable {
    /// Tokens from here on are parts of rows; below, a token is the position of a whole row.
    static let firstToken: PublishToken = 1 << 61

    private var next = PartsInFlight.firstToken
    private var positions: [PublishToken: Position] = [:]
    private var open: [Position: Int] = [:]

    /// Publishes under way beyond one for each row.
    var extraCount: Int { positions.count - open.count }

    /// The tokens for a row: its position where it goes out whole.
    mutating func tokens(for position: Position, count: Int) -> [PublishToken] {
        guard count > 1 else { return [position] }
        open[position] = count
        return (0..<count).map { _ in
            defer { next += 1 }
            positions[next] = position
            return next
        }
    }

    /// The row could not be sent as a whole: what comes for its parts is nobody's.
    mutating func forget(_ position: Position) {
        open[position] = nil
        positions = positions.filter { $0.value != position }
    }

    /// - Returns: the row that is done by this outcome.
    mutating func take(_ outcome: PublishOutcome, of token: PublishToken) -> (
        position: Position, outcome: PublishOutcome
    )? {
        guard token >= Self.firstToken else { return (token, outcome) }
        guard let position = positions.removeValue(forKey: token), let left = open[position] else { return nil }
        guard case .acknowledged = outcome else {
            forget(position)
            return (position, outcome)
        }
        open[position] = left > 1 ? left - 1 : nil
        return left > 1 ? nil : (position, .acknowledged)
    }
}
