/// A condition over readings, such as `chiller1/running == true and age(chiller1/flow) < 10s`. The language is total:
/// evaluation always ends, and whatever cannot be known makes the result unknown, which never lets anything pass.
package indirect enum Expression: Hashable, Sendable {
    package enum Comparison: String, Sendable, CaseIterable {
        case equal = "=="
        case notEqual = "!="
        case less = "<"
        case lessOrEqual = "<="
        case greater = ">"
        case greaterOrEqual = ">="
    }

    package enum Operation: String, Sendable, CaseIterable {
        case add = "+"
        case subtract = "-"
        case multiply = "*"
        case divide = "/"
    }

    case number(Double)
    case bool(Bool)
    /// Seconds.
    case duration(Double)
    case quality(Quality)
    /// The value of a point, known only while its reading is fresh and good.
    case value(point: String)
    /// Time since the last value of a point.
    case age(point: String)
    case qualityOf(point: String)
    case not(Expression)
    case negative(Expression)
    case and(Expression, Expression)
    case or(Expression, Expression)
    case compare(Comparison, Expression, Expression)
    case calculate(Operation, Expression, Expression)

    /// Ids of all points that it looks at.
    package var points: Set<String> {
        switch self {
        case .number, .bool, .duration, .quality: []
        case .value(let point), .age(let point), .qualityOf(let point): [point]
        case .not(let inner), .negative(let inner): inner.points
        case .and(let left, let right), .or(let left, let right), .compare(_, let left, let right),
            .calculate(_, let left, let right):
            left.points.union(right.points)
        }
    }
}

/// True, false, or not to be known. Ordered from false to true.
package enum Truth: Int, Sendable, Comparable {
    case no, unknown, yes

    package init(_ value: Bool) {
        self = value ? .yes : .no
    }

    package static func < (left: Truth, right: Truth) -> Bool {
        left.rawValue < right.rawValue
    }

    package var name: String {
        switch self {
        case .no: "false"
        case .unknown: "unknown"
        case .yes: "true"
        }
    }
}

/// What an expression sees of a point.
package struct ObservedReading: Hashable, Sendable {
    package var value: PointValue
    package var reasons: QualityReasons
    /// Time since the last reading that had a value; nil when there never was one.
    package var age: Duration?
    /// Whether the newest reading is older than the point may be.
    package var isStale: Bool

    package init(value: PointValue, reasons: QualityReasons = [], age: Duration?, isStale: Bool = false) {
        self.value = value
        self.reasons = reasons
        self.age = age
        self.isStale = isStale
    }

    /// Whether decisions may rest on the value: it is fresh and good. A value outside its normal range is a true one.
    package var isTrustworthy: Bool {
        let doubts = reasons.subtracting([QualityReasons(.outOfRange), QualityReasons(.localOverride)])
        return !isStale && doubts.isEmpty && value != .null
    }

    package var quality: Quality {
        isStale ? max(reasons.quality, .uncertain) : reasons.quality
    }
}
