extension Expression {
    /// Reads a condition. `or` binds least, then `and`, `not`, comparisons, `+ -`, `* /`; a comparison has two sides.
    package init(_ text: String) throws(ExpressionError) {
        var parser = ExpressionParser(tokens: try ExpressionLexer.tokens(text))
        self = try parser.condition()
    }
}

private struct ExpressionParser {
    static let depthLimit = 32

    let tokens: [(token: ExpressionLexer.Token, byteOffset: Int)]
    var index = 0
    var depth = 0

    init(tokens: [(token: ExpressionLexer.Token, byteOffset: Int)]) {
        self.tokens = tokens
    }

    private var token: ExpressionLexer.Token { tokens[index].token }

    private func error(_ message: String) -> ExpressionError {
        ExpressionError(byteOffset: tokens[index].byteOffset, message: message)
    }

    private mutating func take(_ wanted: ExpressionLexer.Token) -> Bool {
        guard token == wanted else { return false }
        index += 1
        return true
    }

    mutating func condition() throws(ExpressionError) -> Expression {
        if token == .end { throw error("the condition is empty") }
        let result = try alternatives()
        guard token == .end else { throw error("an operator or the end was expected") }
        let kind = result.kind
        guard kind == .truth || kind == .any else {
            throw ExpressionError(byteOffset: 0, message: "the whole is a \(kind.rawValue), not a condition")
        }
        return result
    }

    private mutating func alternatives() throws(ExpressionError) -> Expression {
        depth += 1
        defer { depth -= 1 }
        guard depth <= Self.depthLimit else { throw error("more than \(Self.depthLimit) levels") }
        var result = try conjunction()
        while token == .word("or") {
            try require(result, .truth, "or")
            index += 1
            let right = try conjunction()
            try require(right, .truth, "or")
            result = .or(result, right)
        }
        return result
    }

    private mutating func conjunction() throws(ExpressionError) -> Expression {
        var result = try negation()
        while token == .word("and") {
            try require(result, .truth, "and")
            index += 1
            let right = try negation()
            try require(right, .truth, "and")
            result = .and(result, right)
        }
        return result
    }

    private mutating func negation() throws(ExpressionError) -> Expression {
        guard take(.word("not")) else { return try comparison() }
        depth += 1
        defer { depth -= 1 }
        guard depth <= Self.depthLimit else { throw error("more than \(Self.depthLimit) levels") }
        let inner = try negation()
        try require(inner, .truth, "not")
        return .not(inner)
    }

    private mutating func comparison() throws(ExpressionError) -> Expression {
        let left = try sum()
        guard case .symbol(let symbol) = token, let comparison = Expression.Comparison(rawValue: symbol) else {
            return left
        }
        let place = tokens[index].byteOffset
        index += 1
        let right = try sum()
        try check(comparison, left.kind, right.kind, at: place)
        if case .symbol(let symbol) = token, Expression.Comparison(rawValue: symbol) != nil {
            throw error("a comparison has two sides; write 'a < b and b < c'")
        }
        return .compare(comparison, left, right)
    }

    private mutating func sum() throws(ExpressionError) -> Expression {
        var result = try product()
        while case .symbol(let symbol) = token, symbol == "+" || symbol == "-" {
            result = try calculation(result, symbol) { parser throws(ExpressionError) in try parser.product() }
        }
        return result
    }

    private mutating func product() throws(ExpressionError) -> Expression {
        var result = try factor()
        while case .symbol(let symbol) = token, symbol == "*" || symbol == "/" {
            result = try calculation(result, symbol) { parser throws(ExpressionError) in try parser.factor() }
        }
        return result
    }

    private mutating func calculation(
        _ left: Expression, _ symbol: String,
        _ operand: (inout ExpressionParser) throws(ExpressionError) -> Expression
    ) throws(ExpressionError) -> Expression {
        let place = tokens[index].byteOffset
        index += 1
        let right = try operand(&self)
        guard let operation = Expression.Operation(rawValue: symbol) else { throw error("an operator was expected") }
        let result = Expression.calculate(operation, left, right)
        guard Expression.kind(operation, left.kind, right.kind) != nil else {
            throw ExpressionError(
                byteOffset: place,
                message: "'\(symbol)' between a \(left.kind.rawValue) and a \(right.kind.rawValue) has no meaning")
        }
        return result
    }

    private mutating func factor() throws(ExpressionError) -> Expression {
        let place = index
        index += 1
        switch tokens[place].token {
        case .number(let value): return .number(value)
        case .duration(let seconds): return .duration(seconds)
        case .point(let id): return .value(point: id)
        case .word(let word): return try named(word, at: place)
        case .symbol("("):
            let inner = try alternatives()
            guard take(.symbol(")")) else { throw error("a ) is missing") }
            return inner
        case .symbol("-"):
            depth += 1
            defer { depth -= 1 }
            guard depth <= Self.depthLimit else { throw error("more than \(Self.depthLimit) levels") }
            let inner = try factor()
            guard [.number, .duration, .any].contains(inner.kind) else {
                throw ExpressionError(
                    byteOffset: tokens[place].byteOffset, message: "'-' before a \(inner.kind.rawValue) has no meaning")
            }
            return .negative(inner)
        case .symbol, .end:
            index = place
            throw error("a value was expected: a number, a duration, true, false, device/point, age(…) or quality(…)")
        }
    }

    private mutating func named(_ word: String, at place: Int) throws(ExpressionError) -> Expression {
        switch word {
        case "true": return .bool(true)
        case "false": return .bool(false)
        case "good": return .quality(.good)
        case "uncertain": return .quality(.uncertain)
        case "bad": return .quality(.bad)
        case "age": return .age(point: try argument(word))
        case "quality": return .qualityOf(point: try argument(word))
        default:
            index = place
            throw error("'\(word)' is not a point; a point is written device/point")
        }
    }

    private mutating func argument(_ function: String) throws(ExpressionError) -> String {
        guard take(.symbol("(")), case .point(let id) = token else {
            throw error("\(function) is written \(function)(device/point)")
        }
        index += 1
        guard take(.symbol(")")) else { throw error("a ) is missing") }
        return id
    }

    // MARK: - Kinds

    private func require(
        _ expression: Expression, _ kind: Expression.Kind, _ word: String
    ) throws(ExpressionError) {
        guard expression.kind == kind || expression.kind == .any else {
            throw error("'\(word)' joins conditions, not a \(expression.kind.rawValue)")
        }
    }

    private func check(
        _ comparison: Expression.Comparison, _ left: Expression.Kind, _ right: Expression.Kind, at place: Int
    ) throws(ExpressionError) {
        let ordered: Set<Expression.Comparison> = [.less, .lessOrEqual, .greater, .greaterOrEqual]
        let kinds: Set<Expression.Kind> = [left, right]
        let isOrdered = ordered.contains(comparison)
        if kinds.count > 1, !kinds.contains(.any) || kinds.contains(.duration) || kinds.contains(.quality) {
            throw ExpressionError(
                byteOffset: place, message: "a \(left.rawValue) cannot be compared with a \(right.rawValue)")
        }
        if isOrdered, kinds.contains(.truth) || kinds.contains(.quality) {
            throw ExpressionError(
                byteOffset: place,
                message: "'\(comparison.rawValue)' is for numbers and durations; allowed here: == and !=")
        }
    }
}

extension Expression {
    /// What an expression stands for. A point may be a number or a truth: only its readings tell.
    enum Kind: String {
        case truth, number, duration, quality, any = "point"
    }

    /// The kind of a well-formed expression.
    var kind: Kind {
        switch self {
        case .number: .number
        case .bool, .not, .and, .or, .compare: .truth
        case .duration, .age: .duration
        case .quality, .qualityOf: .quality
        case .value: .any
        case .negative(let inner): inner.kind == .any ? .number : inner.kind
        case .calculate(let operation, let left, let right): Self.kind(operation, left.kind, right.kind) ?? .number
        }
    }

    /// The kind of a calculation; nil where it has no meaning.
    static func kind(_ operation: Operation, _ left: Kind, _ right: Kind) -> Kind? {
        let numbers: Set<Kind> = [.number, .any]
        if numbers.contains(left), numbers.contains(right) { return .number }
        switch (left, operation, right) {
        case (.duration, .add, .duration), (.duration, .subtract, .duration): return .duration
        case (.duration, .multiply, _) where numbers.contains(right): return .duration
        case (.duration, .divide, _) where numbers.contains(right): return .duration
        case (_, .multiply, .duration) where numbers.contains(left): return .duration
        case (.duration, .divide, .duration): return .number
        default: return nil
        }
    }
}
