import Model
import Testing

/// What is sent for a value, and what a read-back means, without a device.
@Suite struct SetpointPlanTests {
    static func plan(
        _ encoding: Encoding, _ rule: WriteRule = WriteRule(mode: .multiple), table: RegisterTable = .holding,
        enumeration: [EnumerationLabel] = [], limits: NumericRange? = nil, others: [Point] = []
    ) throws -> SetpointPlan {
        let point = Point(
            name: "p", table: table, protocolAddress: 100, encoding: encoding, kind: .setpoint,
            enumeration: enumeration, limits: limits, write: rule)
        return try #require(SetpointPlan(point, of: [point] + others))
    }

    static let tenth = DecimalNumber(mantissa: 1, exponent: -1)

    static func request(
        _ plan: SetpointPlan, _ value: PointValue, current: [UInt16] = []
    ) throws -> RegisterWrite {
        plan.request(for: try plan.encode(value, scale: nil).words, current: current)
    }

    @Test func theModeAndTheTableChooseTheFunctionCode() throws {
        let word = Encoding(type: .int16, scale: Self.tenth)
        #expect(try Self.request(Self.plan(word, WriteRule(mode: .single)), .double(7.5)) == .register(100, 75))
        #expect(try Self.request(Self.plan(word), .double(-7.5)) == .registers(100, [0xFFB5]))
        let float = Encoding(type: .float32, order: ByteOrder(wordsAreSwapped: true))
        #expect(try Self.request(Self.plan(float), .double(230.5)) == .registers(100, [0x8000, 0x4366]))
        let coil = Encoding(type: .bool)
        #expect(
            try Self.request(Self.plan(coil, WriteRule(mode: .single), table: .coil), .bool(true))
                == .coil(100, isOn: true))
        #expect(try Self.request(Self.plan(coil, table: .coil), .int(0)) == .coils(100, [false]))
    }

    @Test func bitFieldsLeaveTheOtherBitsOfTheirRegisterAlone() throws {
        let field = Encoding(type: .uint16, bits: 4...7)
        let masked = try Self.plan(field, WriteRule(mode: .mask))
        #expect(!masked.readsBeforeWriting)
        #expect(try Self.request(masked, .int(9)) == .mask(100, and: 0xFF0F, or: 0x0090))
        let merged = try Self.plan(field, WriteRule(mode: .single))
        #expect(merged.readsBeforeWriting)
        #expect(try Self.request(merged, .int(9), current: [0xABCD]) == .register(100, 0xAB9D))
        let high = try Self.plan(Encoding(type: .uint8, characters: .high), WriteRule(mode: .single))
        #expect(try Self.request(high, .int(0x12), current: [0xABCD]) == .register(100, 0x12CD))
        let wide = try Self.plan(Encoding(type: .uint32, order: ByteOrder(wordsAreSwapped: true), bits: 12...19))
        #expect(try Self.request(wide, .int(0xFF), current: [0, 0]) == .registers(100, [0xF000, 0x000F]))
        let bit = try Self.plan(Encoding(type: .uint16, bits: 3...3), WriteRule(mode: .mask))
        #expect(try Self.request(bit, .bool(true)) == .mask(100, and: 0xFFF7, or: 0x0008))
        #expect(throws: SetpointPlan.Unencodable.self) { try Self.request(masked, .int(16)) }
    }

    @Test func whatTheDeviceDoesNotTakeIsRefusedBeforeAnythingIsSent() throws {
        let word = Encoding(type: .int16, scale: Self.tenth)
        let rule = WriteRule(mode: .single, low: 5, high: 12, step: 0.5)
        let plan = try Self.plan(word, rule, limits: NumericRange(low: 0, high: 50))
        #expect(plan.objection(to: .double(7.5)) == nil)
        for value in [PointValue.double(4.9), .double(12.1), .double(7.3), .double(.nan), .string("7"), .null] {
            #expect(plan.objection(to: value) != nil, "\(value)")
        }
        let state = try Self.plan(
            Encoding(type: .uint16), enumeration: [EnumerationLabel(code: 1, label: "auto")])
        #expect(state.objection(to: .int(1)) == nil)
        #expect(state.objection(to: .int(2)) != nil)
    }

    @Test func roundingNeverLeavesWhatIsAllowed() throws {
        let plan = try Self.plan(Encoding(type: .int16, scale: Self.tenth), WriteRule(mode: .single, high: 11.96))
        #expect(plan.objection(to: .double(11.96)) == nil)
        #expect(throws: SetpointPlan.Unencodable.self) { try plan.encode(.double(11.96), scale: nil) }
        #expect(try plan.encode(.double(11.94), scale: nil).expected.number == 11.9)
    }

    @Test func aPatternThatMeansNoValueIsNotWritten() throws {
        let plan = try Self.plan(Encoding(type: .int16, sentinels: [0x8000]))
        #expect(throws: SetpointPlan.Unencodable.self) { try plan.encode(.int(-32_768), scale: nil) }
        #expect(throws: SetpointPlan.Unencodable.self) { try plan.encode(.int(40_000), scale: nil) }
    }

    @Test func aScaleThatTheDeviceHoldsIsTakenOut() throws {
        let holder = Point(name: "sf", table: .holding, protocolAddress: 9, encoding: Encoding(type: .int16))
        let point = Point(
            name: "p", table: .holding, protocolAddress: 1, encoding: Encoding(type: .int16),
            scaleReference: .exponent(point: "sf"), write: WriteRule(mode: .single))
        let plan = try #require(SetpointPlan(point, of: [point, holder]))
        #expect(plan.scaleHolder?.name == "sf")
        let (words, expected) = try plan.encode(.double(12.3), scale: .int(-1))
        #expect(words == [123])
        #expect(expected.number == 12.3)
        #expect(throws: SetpointPlan.Unencodable.self) { try plan.encode(.double(12.3), scale: nil) }
    }

    @Test func aReadBackIsVerifiedClampedOrDifferent() throws {
        let plan = try Self.plan(Encoding(type: .int16, scale: Self.tenth), WriteRule(mode: .single))
        func verdict(_ found: Double, before: Double = 7, wanted: Double = 15) throws -> WriteOutcome {
            let expected = try plan.encode(.double(wanted), scale: nil).expected
            return plan.verdict(expected: expected, before: .double(before), found: .double(found), scale: nil)
        }
        #expect(try verdict(15) == .verified(.double(15)))
        #expect(try verdict(12) == .clamped(.double(12)))
        #expect(try verdict(7) == .differs(.double(7)))
        #expect(try verdict(16) == .differs(.double(16)))
        #expect(try verdict(5, before: 7, wanted: 2) == .clamped(.double(5)))
    }

    @Test func toleranceIsTheProfilesOrHalfARawStepOfAnotherReadBack() throws {
        let actual = Point(
            name: "actual", table: .input, protocolAddress: 5,
            encoding: Encoding(type: .int16, scale: DecimalNumber(mantissa: 5, exponent: -1)))
        let other = try Self.plan(
            Encoding(type: .float32), WriteRule(mode: .multiple, readback: .point("actual")), others: [actual])
        #expect(other.holds(.double(7.5), expected: .double(7.3), scale: nil))
        #expect(!other.holds(.double(8), expected: .double(7.3), scale: nil))
        let declared = try Self.plan(Encoding(type: .float32), WriteRule(mode: .multiple, readbackTolerance: 0.1))
        #expect(declared.holds(.double(7.4), expected: .double(7.3), scale: nil))
        #expect(!declared.holds(.double(7.41), expected: .double(7.3), scale: nil))
    }

    @Test func everyEncodableValueComesBackAsItself() throws {
        var state: UInt64 = 7
        for type in ValueType.allCases where type.fixedRegisterCount != nil && type != .bool {
            let plan = try Self.plan(Encoding(type: type))
            for _ in 0..<200 {
                state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
                let value = PointValue.int(Int64(state >> 57))
                let (words, expected) = try plan.encode(value, scale: nil)
                #expect(expected.number == value.number, "\(type) \(value)")
                #expect(plan.holds(expected, expected: expected, scale: nil))
                let current = words.map { _ in UInt16(truncatingIfNeeded: state) }
                guard case .registers(100, let written) = plan.request(for: words, current: current) else {
                    Issue.record("\(type) is written by FC16")
                    continue
                }
                #expect(plan.value(ofReadback: written, scale: nil) == .value(expected), "\(type) \(value)")
            }
        }
    }
}
