package import Model

/// A row as somebody received it, or as it is stored: what ``ContinuityCheck`` needs to know of it.
package struct ReceivedRow: Hashable, Sendable {
    /// A reading, as far as its numbering goes.
    package struct Numbered: Hashable, Sendable {
        package var point: String
        package var number: UInt64

        package init(point: String, number: UInt64) {
            self.point = point
            self.number = number
        }
    }

    package var epoch: UInt32
    package var position: Position
    /// Equal for equal content, whatever the delivery added (`sent`, `replay`, `volatile`). Of a batch in parts: the sum of
    /// the digests of its parts is the digest of the whole, wrapping.
    package var digest: UInt64
    /// Which part of how many, counted from 1; nil for a row in one piece.
    package var part: Part?
    package var readings: [Numbered]
    /// What a gap record says is missing.
    package var gap: Gap?

    package struct Part: Hashable, Sendable {
        package var number: Int
        package var count: Int

        package init(number: Int, count: Int) {
            self.number = number
            self.count = count
        }
    }

    package struct Gap: Hashable, Sendable {
        package var positions: ClosedRange<Position>?
        package var reason: GapReason
        package var count: UInt64

        package init(positions: ClosedRange<Position>?, reason: GapReason, count: UInt64) {
            self.positions = positions
            self.reason = reason
            self.count = count
        }
    }

    package init(
        epoch: UInt32, position: Position, digest: UInt64, part: Part? = nil, readings: [Numbered] = [], gap: Gap? = nil
    ) {
        self.epoch = epoch
        self.position = position
        self.digest = digest
        self.part = part
        self.readings = readings
        self.gap = gap
    }
}
