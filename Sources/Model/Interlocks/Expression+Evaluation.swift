extension Expression {
    /// What a part of an expression is worth.
    package enum Term: Hashable, Sendable {
        case unknown
        case number(Double)
        case bool(Bool)
        /// Seconds.
        case duration(Double)
        case quality(Quality)
    }

    /// Whether the condition holds for these readings; unknown as soon as it rests on a reading that is missing, stale or
    /// bad, on a division by zero, or on things that cannot be compared.
    package func truth(_ reading: (String) -> ObservedReading?) -> Truth {
        switch term(reading) {
        case .bool(let value): Truth(value)
        // A state register that holds 0 or 1 may stand where a truth is asked for.
        case .number(let value): value == 1 ? .yes : value == 0 ? .no : .unknown
        case .unknown, .duration, .quality: .unknown
        }
    }

    package func term(_ reading: (String) -> ObservedReading?) -> Term {
        switch self {
        case .number(let value): return .number(value)
        case .bool(let value): return .bool(value)
        case .duration(let seconds): return .duration(seconds)
        case .quality(let quality): return .quality(quality)
        case .value(let point): return Self.value(reading(point))
        case .age(let point): return reading(point)?.age.map { .duration($0.inSeconds) } ?? .unknown
        case .qualityOf(let point): return reading(point).map { .quality($0.quality) } ?? .unknown
        case .not(let inner): return Self.term(inner.truth(reading).opposite)
        case .negative(let inner): return Self.negative(inner.term(reading))
        case .and(let left, let right): return Self.term(min(left.truth(reading), right.truth(reading)))
        case .or(let left, let right): return Self.term(max(left.truth(reading), right.truth(reading)))
        case .compare(let comparison, let left, let right):
            return Self.compare(comparison, left.term(reading), right.term(reading))
        case .calculate(let operation, let left, let right):
            return Self.calculate(operation, left.term(reading), right.term(reading))
        }
    }

    private static func value(_ reading: ObservedReading?) -> Term {
        guard let reading, reading.isTrustworthy else { return .unknown }
        if case .bool(let value) = reading.value { return .bool(value) }
        return reading.value.number.map { .number($0) } ?? .unknown
    }

    private static func term(_ truth: Truth) -> Term {
        truth == .unknown ? .unknown : .bool(truth == .yes)
    }

    private static func negative(_ term: Term) -> Term {
        switch term {
        case .number(let value): .number(-value)
        case .duration(let seconds): .duration(-seconds)
        case .bool, .quality, .unknown: .unknown
        }
    }

    private static func compare(_ comparison: Comparison, _ left: Term, _ right: Term) -> Term {
        switch (left, right) {
        case (.number(let left), .number(let right)), (.duration(let left), .duration(let right)):
            return .bool(comparison.holds(left, right))
        case (.bool(let left), .bool(let right)): return equality(comparison, left == right)
        // Good is the least of ``Quality``, yet nobody writes `<` for better.
        case (.quality(let left), .quality(let right)): return equality(comparison, left == right)
        case (.bool(let left), .number(let right)), (.number(let right), .bool(let left)):
            guard right == 0 || right == 1 else { return .unknown }
            return equality(comparison, left == (right == 1))
        default: return .unknown
        }
    }

    private static func equality(_ comparison: Comparison, _ areEqual: Bool) -> Term {
        switch comparison {
        case .equal: .bool(areEqual)
        case .notEqual: .bool(!areEqual)
        case .less, .lessOrEqual, .greater, .greaterOrEqual: .unknown
        }
    }

    private static func calculate(_ operation: Operation, _ left: Term, _ right: Term) -> Term {
        switch (left, operation, right) {
        case (.number(let left), _, .number(let right)): return finite(operation.result(left, right), Term.number)
        case (.duration(let left), .add, .duration(let right)), (.duration(let left), .subtract, .duration(let right)):
            return finite(operation.result(left, right), Term.duration)
        case (.duration(let left), .multiply, .number(let right)), (.duration(let left), .divide, .number(let right)),
            (.number(let left), .multiply, .duration(let right)):
            return finite(operation.result(left, right), Term.duration)
        case (.duration(let left), .divide, .duration(let right)):
            return finite(operation.result(left, right), Term.number)
        default: return .unknown
        }
    }

    private static func finite(_ value: Double, _ make: (Double) -> Term) -> Term {
        value.isFinite ? make(value) : .unknown
    }
}

extension Truth {
    var opposite: Truth {
        switch self {
        case .no: .yes
        case .unknown: .unknown
        case .yes: .no
        }
    }
}

extension Expression.Comparison {
    func holds(_ left: Double, _ right: Double) -> Bool {
        switch self {
        case .equal: left == right
        case .notEqual: left != right
        case .less: left < right
        case .lessOrEqual: left <= right
        case .greater: left > right
        case .greaterOrEqual: left >= right
        }
    }
}

extension Expression.Operation {
    func result(_ left: Double, _ right: Double) -> Double {
        switch self {
        case .add: left + right
        case .subtract: left - right
        case .multiply: left * right
        case .divide: left / right
        }
    }
}
