/// How far a reading can be trusted. Ordered from best to worst. `bad` means that the value is null.
package enum Quality: UInt8, Sendable, Comparable, CaseIterable {
    case good
    case uncertain
    case bad

    package static func < (left: Quality, right: Quality) -> Bool {
        left.rawValue < right.rawValue
    }

    /// The word in `reading/1`.
    package var name: String {
        switch self {
        case .good: "good"
        case .uncertain: "uncertain"
        case .bad: "bad"
        }
    }
}
