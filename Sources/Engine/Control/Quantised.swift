package import Model

/// A value as the registers can hold it, or why they cannot.
package struct Quantised: Hashable, Sendable {
    package var value: PointValue?
    package var problem: SetpointPlan.Unquantisable?

    package init(value: PointValue?, problem: SetpointPlan.Unquantisable? = nil) {
        self.value = value
        self.problem = problem
    }
}

extension CommandDesk {
    /// The value of a command in the form that the registers will hold. Guards, approval, audit and events are about it.
    func quantised(_ command: Command) -> Quantised {
        guard command.action == .set, let value = command.value else { return Quantised(value: command.value) }
        return quantised(value, at: command.point)
    }

    func quantised(_ value: PointValue, at point: String) -> Quantised {
        guard let known = site.points[point], let plan = known.plan else { return Quantised(value: value) }
        let scale = scale(of: known)
        if known.scaleHolder != nil, scale == nil {
            return Quantised(value: value, problem: .range("the scale that the device holds for it is not known"))
        }
        do throws(SetpointPlan.Unquantisable) {
            return Quantised(value: try plan.quantised(value, scale: scale))
        } catch {
            return Quantised(value: value, problem: error)
        }
    }

    /// What the holder of the point's scale showed last, where that can be trusted.
    func scale(of point: ControlledPoint) -> PointValue? {
        point.scaleHolder.flatMap { readings.observed($0, at: now) }.flatMap { $0.isTrustworthy ? $0.value : nil }
    }

    /// The value to which a point goes back, in the form that its registers will hold.
    func quantised(home: PointValue?, at point: String) -> PointValue? {
        home.flatMap { $0 == .null ? $0 : quantised($0, at: point).value }
    }
}

extension ActiveCommand {
    /// The value that is written.
    package var value: PointValue? { quantised ?? command.value }

    /// The value of the request, where the registers hold another.
    package var asked: PointValue? {
        guard let quantised, let value = command.value, !quantised.says(value) else { return nil }
        return value
    }
}

extension ReadBack {
    /// What was found, for messages; nil where it was a value.
    var words: String? {
        switch self {
        case .value, .unset: nil
        case .bad(let reason, let shown?): "it shows \(shown.words), which is \(reason.code)"
        case .bad(let reason, nil): "it shows no value: \(reason.code)"
        case .unreachable(let words), .wrongDevice(let words): words
        }
    }
}
