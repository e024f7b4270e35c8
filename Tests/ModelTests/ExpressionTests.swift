import Model
import Testing

@Suite struct ExpressionTests {
    static let readings: [String: ObservedReading] = [
        "c/on": ObservedReading(value: .bool(true), age: .seconds(1)),
        "c/state": ObservedReading(value: .int(1), age: .seconds(1)),
        "c/t": ObservedReading(value: .double(7.5), age: .seconds(2)),
        "c/high": ObservedReading(value: .int(99), reasons: QualityReasons(.outOfRange), age: .seconds(2)),
        "c/old": ObservedReading(value: .int(5), age: .seconds(90), isStale: true),
        "c/spiky": ObservedReading(value: .int(5), reasons: QualityReasons(.spike), age: .seconds(1)),
        "c/bad": ObservedReading(value: .null, reasons: QualityReasons(.timeout), age: .seconds(30)),
        "c/never": ObservedReading(value: .null, reasons: QualityReasons(.waiting), age: nil),
        "c/text": ObservedReading(value: .string("x"), age: .seconds(1)),
        "2nd/t": ObservedReading(value: .int(3), age: .seconds(1)),
    ]

    @Test(arguments: [
        ("c/on == true", Truth.yes), ("c/on", .yes), ("not c/on", .no), ("c/state == true", .yes), ("c/state", .yes),
        ("c/t < 8", .yes), ("c/t > 8", .no), ("c/t * 2 + 1 == 16", .yes), ("-c/t < 0", .yes), ("c/high > 90", .yes),
        ("c/old == 5", .unknown), ("c/spiky == 5", .unknown), ("c/bad == 5", .unknown), ("c/none == 5", .unknown),
        ("c/text == 5", .unknown), ("c/t / 0 > 1", .unknown), ("c/t == true", .unknown),
        ("age(c/t) < 10s", .yes), ("age(c/old) < 1m", .no), ("age(c/bad) > 500ms", .yes),
        ("age(c/never) < 1h", .unknown),
        ("age(c/t) * 2 <= 4s", .yes), ("age(c/old) / age(c/t) == 45", .yes), ("1m + 30s == 90s", .yes),
        ("quality(c/t) == good", .yes), ("quality(c/old) == good", .no), ("quality(c/bad) != bad", .no),
        ("quality(c/none) == good", .unknown), ("quality(c/old) == uncertain", .yes),
        ("c/bad == 5 and c/t > 8", .no), ("c/bad == 5 or c/t < 8", .yes), ("c/bad == 5 or c/t > 8", .unknown),
        ("c/bad == 5 and c/t < 8", .unknown), ("not c/bad == 5", .unknown), ("not (c/t < 8 and c/on)", .no),
        ("c/on or c/bad == 1 and false", .yes), ("'2nd/t' == 3", .yes), ("2 - 1 - 1 == 0", .yes),
        ("8 / 4 / 2 == 1", .yes),
    ])
    func conditionsHoldFailOrAreUnknown(text: String, truth: Truth) throws {
        #expect(try Expression(text).truth { Self.readings[$0] } == truth, "\(text)")
    }

    @Test(arguments: [
        ("", 0), ("c/t <", 5), ("c/t < 8 8", 8), ("c/t = 8", 4), ("(c/t < 8", 8), ("c < 8", 0), ("age(c) < 1s", 4),
        ("5", 0), ("10s", 0), ("age(c/t) < 10", 9), ("1 < 2 < 3", 6), ("10x < 3", 2), ("c/on < true", 5),
        ("quality(c/t) < bad", 13), ("1 and c/on", 2), ("c/t < 8 and 5", 13), ("10s * 10s == 1s", 4), ("1.2.3 < 2", 0),
        ("c/t < 8 && c/on", 8), ("- true", 0), ("'c/t < 8", 0), ("quality(c/t) == 1", 13),
        (String(repeating: "(", count: 40) + "c/on", 32), (String(repeating: "not ", count: 40) + "c/on", 128),
        (String(repeating: "-", count: 50) + "1 < 2", 32),
    ])
    func whatIsWrongIsSaidWithItsPlace(text: String, byteOffset: Int) {
        #expect {
            try Expression(text)
        } throws: { error in
            (error as? ExpressionError)?.byteOffset == byteOffset
        }
    }

    @Test func anOverlongTextIsRefused() {
        #expect(throws: ExpressionError.self) { try Expression(String(repeating: "c/on or ", count: 200) + "c/on") }
    }

    // MARK: - Against a naive evaluator

    /// Evaluates with optionals: nil is unknown.
    struct Naive {
        var readings: [String: ObservedReading]

        func bool(_ expression: Expression) -> Bool? {
            switch expression {
            case .bool(let value): return value
            case .not(let inner): return bool(inner).map { !$0 }
            case .and(let left, let right):
                let sides = [bool(left), bool(right)]
                return sides.contains(false) ? false : sides.contains(nil) ? nil : true
            case .or(let left, let right):
                let sides = [bool(left), bool(right)]
                return sides.contains(true) ? true : sides.contains(nil) ? nil : false
            case .compare(let comparison, let left, let right):
                guard let left = number(left), let right = number(right) else { return nil }
                switch comparison {
                case .equal: return left == right
                case .notEqual: return left != right
                case .less: return left < right
                case .lessOrEqual: return left <= right
                case .greater: return left > right
                case .greaterOrEqual: return left >= right
                }
            default: return nil
            }
        }

        func number(_ expression: Expression) -> Double? {
            switch expression {
            case .number(let value), .duration(let value): return value
            case .value(let point):
                guard let reading = readings[point], !reading.isStale, reading.reasons.isEmpty else { return nil }
                return reading.value.number
            case .age(let point): return readings[point]?.age?.inSeconds
            case .negative(let inner): return number(inner).map { -$0 }
            case .calculate(let operation, let left, let right):
                guard let left = number(left), let right = number(right) else { return nil }
                let result = [
                    .add: left + right, .subtract: left - right, .multiply: left * right, .divide: left / right,
                ][operation]
                return result.flatMap { $0.isFinite ? $0 : nil }
            default: return nil
            }
        }
    }

    struct Maker {
        var random: Random

        mutating func condition(_ depth: Int) -> (Expression, String) {
            switch depth == 0 ? 3 : random.below(6) {
            case 0:
                let inner = condition(depth - 1)
                return (.not(inner.0), "not (\(inner.1))")
            case 1:
                let (left, right) = (condition(depth - 1), condition(depth - 1))
                return (.and(left.0, right.0), "(\(left.1)) and (\(right.1))")
            case 2:
                let (left, right) = (condition(depth - 1), condition(depth - 1))
                return (.or(left.0, right.0), "(\(left.1)) or (\(right.1))")
            case 3:
                let comparison = Expression.Comparison.allCases[random.below(6)]
                let seconds = Double(random.below(20))
                let point = "p/\(random.below(5))"
                return (
                    .compare(comparison, .age(point: point), .duration(seconds)),
                    "age(\(point)) \(comparison.rawValue) \(Int(clamping: seconds))s"
                )
            default:
                let comparison = Expression.Comparison.allCases[random.below(6)]
                let (left, right) = (number(depth - 1), number(depth - 1))
                return (.compare(comparison, left.0, right.0), "\(left.1) \(comparison.rawValue) \(right.1)")
            }
        }

        mutating func number(_ depth: Int) -> (Expression, String) {
            switch depth <= 0 ? random.below(2) : random.below(4) {
            case 0:
                let value = random.below(4)
                return (.number(Double(value)), "\(value)")
            case 1:
                let point = "p/\(random.below(5))"
                return (.value(point: point), point)
            case 2:
                let inner = number(depth - 1)
                return (.negative(inner.0), "-(\(inner.1))")
            default:
                let operation = Expression.Operation.allCases[random.below(4)]
                let (left, right) = (number(depth - 1), number(depth - 1))
                return (.calculate(operation, left.0, right.0), "(\(left.1)) \(operation.rawValue) (\(right.1))")
            }
        }

        mutating func readings() -> [String: ObservedReading] {
            var readings: [String: ObservedReading] = [:]
            for index in 0..<5 where random.below(6) > 0 {
                let isBad = random.below(6) == 0
                readings["p/\(index)"] = ObservedReading(
                    value: isBad ? .null : .int(Int64(random.below(4))), reasons: isBad ? QualityReasons(.timeout) : [],
                    age: random.below(6) == 0 ? nil : .seconds(random.below(20)), isStale: random.below(6) == 0)
            }
            return readings
        }
    }

    /// SplitMix64.
    struct Random {
        var state: UInt64

        mutating func below(_ bound: Int) -> Int {
            state &+= 0x9E37_79B9_7F4A_7C15
            var mixed = state
            mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
            mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
            return Int((mixed ^ (mixed >> 31)) % UInt64(bound))
        }
    }

    @Test(arguments: 0..<20)
    func anyConditionAgreesWithANaiveEvaluator(seed: Int) throws {
        var maker = Maker(random: Random(state: UInt64(seed)))
        var counts: [Truth: Int] = [:]
        for _ in 0..<200 {
            let (expression, text) = maker.condition(3)
            let parsed = try Expression(text)
            #expect(parsed == expression, "seed \(seed): \(text)")
            let readings = maker.readings()
            let truth = parsed.truth { readings[$0] }
            let naive = Naive(readings: readings).bool(expression)
            #expect(truth == (naive.map(Truth.init) ?? .unknown), "seed \(seed): \(text) with \(readings)")
            counts[truth, default: 0] += 1
        }
        #expect(counts.count == 3, "seed \(seed): \(counts)")
    }

    @Test func randomTextNeverCrashesTheParser() {
        var random = Random(state: 5)
        let words = [
            "c/t", "<", "8", "and", "or", "not", "(", ")", "age(", "quality(", "10s", "-", "/", "*", "true", "'", " ",
        ]
        var accepted = 0
        for _ in 0..<20_000 {
            let text = (0...random.below(9)).map { _ in words[random.below(words.count)] }.joined(separator: " ")
            if let expression = try? Expression(text) {
                accepted += 1
                _ = expression.truth { Self.readings[$0] }
            }
        }
        #expect(accepted > 0)
    }
}
