import Model
import Testing

/// What the registers will hold of a value that was asked for.
@Suite struct QuantisingTests {
    static let ten = Encoding(type: .int16, scale: DecimalNumber(mantissa: 10))
    static let tenth = Encoding(type: .int16, scale: DecimalNumber(mantissa: 1, exponent: -1))

    @Test(
        arguments: [
            (ten, .int(95), .int(100)), (ten, .int(85), .int(80)), (ten, .int(34), .int(30)), (ten, .int(90), .int(90)),
            (ten, .double(-95), .int(-100)), (tenth, .double(7.5), .double(7.5)),
            // Halfway in decimal, and not in binary.
            (tenth, .double(0.35), .double(0.4)), (tenth, .double(0.25), .double(0.2)),
            (tenth, .double(0.45), .double(0.4)), (tenth, .double(7.04), .int(7)),
            (Encoding(type: .float32), .double(0.1), .double(0.1)), (Encoding(type: .int16), .double(22), .int(22)),
            (Encoding(type: .int64), .int(9_007_199_254_740_993), .int(9_007_199_254_740_993)),
            (
                Encoding(type: .int16, scale: DecimalNumber(mantissa: 5), offset: DecimalNumber(mantissa: 2)),
                .int(20), .int(22)
            ),
        ] as [(Encoding, PointValue, PointValue)])
    func itIsTheNearestStepAndOfTwoTheEvenOne(encoding: Encoding, asked: PointValue, held: PointValue) throws {
        let plan = try SetpointPlanTests.plan(encoding)
        let quantised = try plan.quantised(asked, scale: nil)
        #expect(quantised.says(held), "\(quantised)")
        // What was judged is what is written, and what is judged again stays as it is.
        #expect(try plan.encode(quantised, scale: nil).words == plan.encode(held, scale: nil).words)
        #expect(try plan.quantised(quantised, scale: nil) == quantised)
    }

    @Test func aRegisterWithoutScaleTakesWholeNumbersOnly() throws {
        let plan = try SetpointPlanTests.plan(Encoding(type: .int16), WriteRule(mode: .single))
        do throws(SetpointPlan.Unquantisable) {
            _ = try plan.quantised(.double(22.5), scale: nil)
            Issue.record("22.5 fits a whole number")
        } catch {
            guard case .kind(let words) = error else { throw error }
            #expect(words.contains("whole numbers"))
        }
    }

    @Test func whatTheRegistersCannotHoldIsOutOfRange() throws {
        var encoding = Self.tenth
        encoding.sentinels = [0x8000]
        let plan = try SetpointPlanTests.plan(encoding)
        for value in [PointValue.int(4000), .int(-4000), .double(-3276.8)] {
            do throws(SetpointPlan.Unquantisable) {
                Issue.record("\(value) is held as \(try plan.quantised(value, scale: nil))")
            } catch {
                guard case .range = error else { throw error }
            }
        }
    }

    @Test func theScaleThatTheDeviceHoldsCounts() throws {
        let holder = Point(name: "e", table: .holding, protocolAddress: 9, encoding: Encoding(type: .int16))
        var point = Point(
            name: "p", table: .holding, protocolAddress: 1, encoding: Encoding(type: .int16),
            write: WriteRule(mode: .single))
        point.scaleReference = .exponent(point: "e")
        let plan = try #require(SetpointPlan(point, of: [point, holder]))
        #expect(try plan.quantised(.double(7.26), scale: .int(-1)).says(.double(7.3)))
        #expect(try plan.quantised(.double(7.26), scale: .int(-2)).says(.double(7.26)))
        #expect(try plan.quantised(.int(95), scale: .int(1)).says(.int(100)))
    }

    @Test func aValueIsWrittenInTheFormOfTheWriteAndComparedInThatOfTheRead() throws {
        var rule = WriteRule(mode: .multiple)
        rule.encoding = Encoding(type: .uint32, order: ByteOrder(wordsAreSwapped: true))
        let plan = try SetpointPlanTests.plan(Encoding(type: .uint32), rule)
        let (words, expected) = try plan.encode(.int(0x12345), scale: nil)
        #expect(words == [0x2345, 1])
        #expect(plan.value(ofReadback: [1, 0x2345], scale: nil) == .value(expected))
        rule.encoding = Encoding(type: .int16)
        let scaled = try SetpointPlanTests.plan(Self.tenth, rule)
        #expect(try scaled.encode(.int(31), scale: nil).words == [31])
        #expect(scaled.holds(.double(31), expected: .int(31), scale: nil))
        #expect(!scaled.holds(.double(31.1), expected: .int(31), scale: nil))
        #expect(scaled.takesWholeNumbersOnly)
    }
}
