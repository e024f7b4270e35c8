import Model

/// What a policy says beside what the registers of its points can hold, and what confirms a write to them.
extension PolicyParser {
    /// How values are written to a point; nil where the size of a raw step is only known at run time.
    private func plan(_ id: String, _ point: Point) -> SetpointPlan? {
        guard point.scaleReference == nil else { return nil }
        let device = PointID.parts(of: id).device
        return SetpointPlan(point, of: devices.first { $0.id == device }?.points ?? [point])
    }

    /// Warns of a limit that the point cannot hold: the last value inside of it is another.
    func checkSteps(_ bound: Double?, _ field: Field?, isLow: Bool, _ id: String, _ point: Point) {
        guard let bound, let field, let held = plan(id, point)?.step(inside: bound, isLow: isLow) else { return }
        field.problems.warning(
            field.place,
            """
            \(name): \(isLow ? "min" : "max") \(number(bound)) lies between two raw steps of \(id); the \
            \(isLow ? "least" : "largest") value that can be written is \(number(held))
            """)
    }

    /// The fallback as the point holds it; nil where it holds no form of it, which has been said.
    func held(fallback value: PointValue, _ field: Field, _ id: String, _ point: Point) -> PointValue? {
        guard let plan = plan(id, point) else { return value }
        do throws(SetpointPlan.Unquantisable) {
            let held = try plan.quantised(value, scale: nil)
            if !held.says(value) {
                field.problems.warning(
                    field.place,
                    "\(name): fallback \(field.written) lies between two raw steps of \(id), which goes back to \(held.words)"
                )
            }
            return held
        } catch {
            switch error {
            case .kind(let words), .range(let words): field.fail("\(name): fallback: \(words)")
            }
            return nil
        }
    }

    /// Warns of commands that will always be refused, and of points that nothing takes back.
    func checkConfirmation(_ policy: Policy, _ field: Field, _ fields: Fields, _ id: String, _ point: Point) {
        func warn(_ key: String?, _ words: String) {
            let place = (key.flatMap { fields[$0] } ?? field).place
            field.problems.warning(place, "\(name): \(words)")
        }
        let isPrevious = policy.fallback == .previous || policy.lease.onEnd == .previous
        guard point.write?.readback == .nowhere else {
            if isPrevious, point.write?.unset != nil {
                warn(
                    "fallback",
                    "\(id) may have no previous value, as its profile declares what it shows before its first write (unset); "
                        + "then the value that was written stays")
            }
            return
        }
        if !policy.allowsUnverified {
            warn(
                nil,
                "nothing can be read that confirms a write to \(id) (readback: none); without allow_unverified: true "
                    + "every command to it is refused")
        }
        if policy.step != nil {
            warn(
                "step",
                "step is measured from the value that is read back, and of \(id) nothing is (readback: none); every "
                    + "command to it is refused")
        }
        if isPrevious {
            warn("fallback", "\(id) has no previous value (readback: none); at the end of a lease its value stays")
        }
    }
}

extension SetpointPlan {
    /// Of a bound that lies between two raw steps the nearest step inside of it; nil for one that lies on a step.
    func step(inside bound: Double, isLow: Bool) -> Double? {
        let value = JSONValue.double(bound).pointValue ?? .double(bound)
        guard !encoding.type.isFloat, !takesWholeNumbersOnly || bound.rounded() == bound,
            let held = try? quantised(value, scale: nil), !held.says(value), let nearest = held.number
        else { return wholeNumber(inside: bound, isLow: isLow) }
        let width = abs(encoding.scale.double)
        let isInside = isLow ? nearest >= bound : nearest <= bound
        guard !isInside, let next = DecimalNumber("\(nearest + (isLow ? width : -width))") else { return nearest }
        let step = try? quantised(.decimal(next), scale: nil)
        return step?.number ?? nearest
    }

    private func wholeNumber(inside bound: Double, isLow: Bool) -> Double? {
        guard takesWholeNumbersOnly, bound.rounded() != bound else { return nil }
        return isLow ? bound.rounded(.up) : bound.rounded(.down)
    }
}
