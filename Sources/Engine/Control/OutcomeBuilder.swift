package import Model

/// Compares what a command was to bring about with what the readings show.
package struct OutcomeBuilder: Sendable {
    /// Share of each window that must be covered by good readings.
    package static let coverageNeeded = 0.8
    /// A window is as long as the foretold time, at most this.
    package static let longestWindow: Duration = .seconds(900)

    package let plan: OutcomePlan

    package init(_ plan: OutcomePlan) {
        self.plan = plan
    }

    /// The windows of one expected change: as long before the command took effect as at the end of the foretold time.
    package static func windows(
        _ change: Command.ExpectedChange, anchor: UnixTime
    ) -> (before: Range<UnixTime>, after: Range<UnixTime>) {
        let length = min(change.within, longestWindow)
        let end = anchor + change.within
        return (anchor - length..<anchor, end - length..<end)
    }

    /// The readings that are needed: of each point from the first moment to the last. A reading before the window tells how
    /// the window begins, so a little more is asked for.
    package func needs() -> [(point: String, range: Range<UnixTime>)] {
        (plan.command.rationale?.expected ?? []).map { change in
            let windows = Self.windows(change, anchor: plan.anchor)
            return (change.point, windows.before.lowerBound - .seconds(60)..<windows.after.upperBound)
        }
    }

    /// - Parameters:
    ///   - samples: readings of the points of ``needs()``, in the order of their times.
    ///   - periods: how long a reading of each point holds at most.
    package func build(samples: [String: [ReadingSample]], periods: [String: Duration]) -> Outcome {
        let measures = (plan.command.rationale?.expected ?? []).map { change in
            let windows = Self.windows(change, anchor: plan.anchor)
            let holds = (periods[change.point] ?? .seconds(1)) * 3
            let own = samples[change.point] ?? []
            let before = Self.mean(own, in: windows.before, holds: holds)
            let after = Self.mean(own, in: windows.after, holds: holds)
            return OutcomeMeasure(
                point: change.point, unit: change.unit, expected: change.change, before: before.mean, after: after.mean,
                coverageBefore: before.coverage, coverageAfter: after.coverage)
        }
        return Outcome(plan: plan, measures: measures, objections: objections(measures))
    }

    private func objections(_ measures: [OutcomeMeasure]) -> [String] {
        var objections: [String] = []
        if plan.isUnverified {
            objections.append("unverified")
        } else if plan.state != .verified {
            objections.append("not_in_effect")
        }
        if let early = plan.endedEarly { objections.append("ended_early: \(early)") }
        if !plan.confounders.isEmpty { objections.append("confounded") }
        if measures.isEmpty { objections.append("nothing_foretold") }
        if measures.contains(where: { min($0.coverageBefore, $0.coverageAfter) < Self.coverageNeeded }) {
            objections.append("coverage")
        }
        return objections
    }

    /// Time-weighted mean of the good readings, each holding until the next one, but no longer than `holds`.
    package static func mean(
        _ samples: [ReadingSample], in window: Range<UnixTime>, holds: Duration
    ) -> (mean: Double?, coverage: Double) {
        let length = (window.upperBound - window.lowerBound).inSeconds
        guard length > 0 else { return (nil, 0) }
        var weighted = 0.0
        var covered = 0.0
        for (index, sample) in samples.enumerated() {
            guard sample.reasons.quality == .good, let number = sample.value.number else { continue }
            let next = index + 1 < samples.count ? samples[index + 1].time : window.upperBound
            let start = max(sample.time, window.lowerBound)
            let end = min(next, sample.time + holds, window.upperBound)
            guard end > start else { continue }
            let seconds = (end - start).inSeconds
            weighted += number * seconds
            covered += seconds
        }
        return (covered > 0 ? weighted / covered : nil, min(1, covered / length))
    }
}
