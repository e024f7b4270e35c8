/// Number of a ``DeviceLayout`` in one journal.
package typealias LayoutID = UInt32

/// What a batch needs to know of its points when it is published long after the site file changed: the device, and for
/// each point index its id, descriptor hash and unit. Stored once in the journal, referred to by every batch.
package struct DeviceLayout: Hashable, Sendable {
    package struct Entry: Hashable, Sendable {
        /// `device/point`.
        package var id: String
        /// Hash of the descriptor in force (`reading/1`, field `def`), 16 hex digits.
        package var definition: String
        /// UCUM, nil where the point is not numeric.
        package var unit: String?

        package init(id: String, definition: String, unit: String?) {
            self.id = id
            self.definition = definition
            self.unit = unit
        }
    }

    package var device: String
    /// Values that the topic template asks for, resolved when the layout was made (`labels.site` and so on).
    package var labels: [Label]
    package var entries: [Entry]

    package init(device: String, labels: [Label], entries: [Entry]) {
        self.device = device
        self.labels = labels
        self.entries = entries
    }
}

/// The register words of one reading, for points that publish them.
package struct RawWords: Hashable, Sendable {
    /// Index of the reading in its batch.
    package var reading: Int
    package var words: [UInt16]

    package init(reading: Int, words: [UInt16]) {
        self.reading = reading
        self.words = words
    }
}

/// Readings of one device, taken together, as flat arrays of equal length: what moves from the poller through the journal
/// to the publisher (`reading/1` without what the journal and the publisher add).
package struct ReadingBatch: Hashable, Sendable {
    package var layout: LayoutID
    /// Index of each reading's point in the layout.
    package var points: [UInt16]
    package var times: [UnixTime]
    package var values: [PointValue]
    package var reasons: [QualityReasons]
    /// Per-point counters within the epoch.
    package var numbers: [UInt64]
    package var raw: [RawWords]

    package init(layout: LayoutID) {
        self.layout = layout
        points = []
        times = []
        values = []
        reasons = []
        numbers = []
        raw = []
    }

    package var count: Int { points.count }
    package var isEmpty: Bool { points.isEmpty }

    package mutating func reserveCapacity(_ count: Int) {
        points.reserveCapacity(count)
        times.reserveCapacity(count)
        values.reserveCapacity(count)
        reasons.reserveCapacity(count)
        numbers.reserveCapacity(count)
    }

    package mutating func append(
        point: UInt16, time: UnixTime, value: PointValue, reasons reasonsOfReading: QualityReasons, number: UInt64
    ) {
        points.append(point)
        times.append(time)
        values.append(value)
        reasons.append(reasonsOfReading)
        numbers.append(number)
    }

    /// The readings of `range` as a batch of their own.
    package func slice(_ range: Range<Int>) -> ReadingBatch {
        var part = ReadingBatch(layout: layout)
        part.points = Array(points[range])
        part.times = Array(times[range])
        part.values = Array(values[range])
        part.reasons = Array(reasons[range])
        part.numbers = Array(numbers[range])
        part.raw = raw.filter { range.contains($0.reading) }.map {
            RawWords(reading: $0.reading - range.lowerBound, words: $0.words)
        }
        return part
    }
}
