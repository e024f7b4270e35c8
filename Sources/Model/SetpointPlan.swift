/// How one value gets into a device and how it is confirmed there: everything about it that needs no device.
package struct SetpointPlan: Hashable, Sendable {
    package let point: Point
    package let rule: WriteRule
    /// Where and how the value is confirmed.
    package let readback: Point
    /// The points that hold the scale of the point and of its read-back.
    package let scaleHolder: Point?
    package let readbackScaleHolder: Point?

    /// Nil for a point that cannot be written.
    package init?(_ point: Point, of points: [Point]) {
        guard let rule = point.write else { return nil }
        self.point = point
        self.rule = rule
        switch rule.readback {
        case nil, .nowhere: readback = point
        case .place(let table, let address):
            var place = point
            (place.table, place.protocolAddress) = (table, address)
            readback = place
        case .point(let name):
            guard let other = points.first(where: { $0.name == name }) else { return nil }
            readback = other
        }
        func holder(_ point: Point) -> Point? { points.first { $0.name == point.scaleReference?.point } }
        scaleHolder = holder(point)
        readbackScaleHolder = holder(readback)
    }

    /// How the value is written.
    package var encoding: Encoding { rule.encoding ?? point.encoding }

    /// Whether anything can be read that confirms a write.
    package var isConfirmed: Bool { rule.readback != .nowhere }

    /// The addresses that the value is written to.
    package var target: RegisterSpan { rule.target ?? point.span }

    /// Whether the target must be read first, so that what shares its registers stays as it is. The read and the write are
    /// one transaction on the bus, but the device itself can change a bit in between; `mode: mask` leaves no such gap.
    package var readsBeforeWriting: Bool {
        !target.table.isBits && rule.mode != .mask && encoding.sharesRegisters
    }

    // MARK: - Before

    /// Why the device does not take `value`, in words; nil where it should.
    package func objection(to value: PointValue) -> String? {
        guard let number = value.number else {
            return point.datatype.isNumeric ? "\(point.name) takes a number" : nil
        }
        if case .string = point.datatype { return "\(point.name) takes a text" }
        guard number.isFinite else { return "\(point.name) takes a number, not \(number.plain)" }
        if let low = rule.low, number < low {
            return "\(number.plain) is below \(low.plain), the least that the device takes"
        }
        if let high = rule.high, number > high {
            return "\(number.plain) is above \(high.plain), the most that the device takes"
        }
        if let limits = point.limits, !limits.contains(number) {
            return "\(number.plain) is outside \(limits.low.plain) to \(limits.high.plain), what \(point.name) can be"
        }
        if !point.enumeration.isEmpty, !point.enumeration.contains(where: { Double($0.code) == number }) {
            return "\(value.plain) is none of \(point.labelList)"
        }
        if let step = rule.step, step > 0 {
            let steps = (number - (rule.low ?? 0)) / step
            if abs(steps - steps.rounded()) > 1e-6 {
                return
                    "\(number.plain) is not on the grid of \(step.plain) from \((rule.low ?? 0).plain) that the device takes"
            }
        }
        return nil
    }

    /// Why there is no request for a value, in words.
    package struct Unencodable: Error, Hashable, Sendable {
        package var reason: String

        package init(reason: String) {
            self.reason = reason
        }
    }

    /// The words of `value` in its own bits, and the value that they stand for: the nearest one that the device can hold.
    ///
    /// - Parameter scale: what the scale holder says, where the point has one.
    package func encode(
        _ value: PointValue, scale: PointValue?
    ) throws(Unencodable) -> (words: [UInt16], expected: PointValue) {
        guard let raw = value.unscaled(by: scale ?? .null, point.scaleReference) else {
            throw Unencodable(reason: "the scale that the device holds makes no sense")
        }
        let words: [UInt16]
        do throws(EncodingError) {
            words = try encoding.encodeField(raw)
        } catch {
            throw Unencodable(reason: "\(point.name) cannot hold this value (\(encoding.type)): \(error)")
        }
        guard case .value(let rounded) = decode(words, encoding, point, scale: scale) else {
            throw Unencodable(reason: "the raw pattern of this value means 'no value' to the device")
        }
        if value.number != rounded.number, rule.step == nil, let reason = objection(to: rounded) {
            throw Unencodable(reason: "rounded to what the device can hold, " + reason)
        }
        return (words, rounded)
    }

    /// The request that writes `words`.
    ///
    /// - Parameter current: what the target holds now, where ``readsBeforeWriting``.
    package func request(for words: [UInt16], current: [UInt16] = []) -> RegisterWrite {
        let address = target.start
        if target.table.isBits {
            return rule.mode == .single
                ? .coil(address, isOn: words[0] != 0) : .coils(address, words.map { $0 != 0 })
        }
        let owned = encoding.ownedBits
        switch rule.mode {
        case .mask: return .mask(address, and: ~owned[0], or: words[0])
        case .single, .multiple:
            var merged = words
            if readsBeforeWriting {
                for index in words.indices { merged[index] |= current[index] & ~owned[index] }
            }
            return rule.mode == .single ? .register(address, merged[0]) : .registers(address, merged)
        }
    }

    // MARK: - After

    /// What words at the read-back say.
    package func value(ofReadback words: [UInt16], scale: PointValue?) -> Decoded {
        decode(words, readback.encoding, readback, scale: scale)
    }

    func decode(_ words: [UInt16], _ encoding: Encoding, _ point: Point, scale: PointValue?) -> Decoded {
        let decoded = encoding.decode(words.span)
        guard point.scaleReference != nil, case .value(let value) = decoded else { return decoded }
        return value.scaled(by: scale ?? .null, point.scaleReference)
    }

    /// Whether the device shows the value that was written.
    ///
    /// - Parameter scale: what the read-back's scale holder says, where it has one.
    package func holds(_ found: PointValue, expected: PointValue, scale: PointValue?) -> Bool {
        guard let wanted = expected.number, let number = found.number else { return found == expected }
        let tolerance = tolerance(of: wanted, scale: scale)
        // A double holds 53 bits, four registers 64.
        if tolerance < 1, expected.isInteger, found.isInteger { return found == expected }
        return abs(number - wanted) <= tolerance
    }

    /// The device acknowledged and shows `found`: what that means.
    package func verdict(
        expected: PointValue, before: PointValue?, found: PointValue, scale: PointValue?
    ) -> WriteOutcome {
        if holds(found, expected: expected, scale: scale) { return .verified(found) }
        guard let wanted = expected.number, let number = found.number, let old = before?.number, number != old,
            (min(old, wanted)...max(old, wanted)).contains(number)
        else { return .differs(found) }
        return .clamped(found)
    }

    /// As the profile says; else nothing where the value is confirmed in the form in which it was written, and half a raw
    /// step where the read-back has another form.
    private func tolerance(of wanted: Double, scale: PointValue?) -> Double {
        // Decimal fractions are not exact in binary: 0.1 of tolerance covers a difference of 0.1.
        if let declared = rule.readbackTolerance { return declared + abs(wanted) * 1e-12 }
        if readback.encoding == encoding, readback.scaleReference == point.scaleReference { return 0 }
        if readback.encoding.type.isFloat { return abs(wanted) * 1e-6 }
        let held = PointValue.int(1).scaled(by: scale ?? .null, readback.scaleReference)
        guard case .value(let factor) = held, let factor = factor.number else { return 0 }
        return abs(readback.encoding.scale.double * factor) * 0.5 + abs(wanted) * 1e-9
    }
}
