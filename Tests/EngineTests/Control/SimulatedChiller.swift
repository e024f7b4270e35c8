import Engine
import GatewayTesting
import Model

/// A device that drops, delays, answers late, clamps, refuses, takes something else, and reboots.
struct SimulatedChiller {
    enum Fate: CaseIterable {
        case done, dropped, doneButSilent, late, clamped, refused, differs, notSent
    }

    struct Entry {
        var write: SetpointWrite
        var isApplied: Bool
    }

    var values: [String: PointValue]
    var isRunning = true
    /// Every write that left the gateway.
    var log: [Entry] = []
    /// Points that the device itself changed since the last write.
    var rebooted: Set<String> = []
    var isWell = false
    /// What a converter on the way still has, and how many looks at it are left until it delivers.
    var queued: [(write: SetpointWrite, delay: Int)] = []

    init() {
        values = ["chiller1/a": .double(7), "chiller1/b": .double(7), "chiller1/c": .double(7)]
    }

    mutating func write(_ write: SetpointWrite, _ random: inout SeededGenerator) -> WriteOutcome {
        let fate =
            isWell || Int.random(in: 0..<3, using: &random) > 0
            ? .done : Fate.allCases.randomElement(using: &random) ?? .done
        switch fate {
        case .notSent: return .notSent("link down")
        case .dropped:
            log.append(Entry(write: write, isApplied: false))
            return .indeterminate("time-out")
        case .late:
            queued.append((write, Int.random(in: 1...12, using: &random)))
            return .indeterminate("time-out")
        case .refused:
            log.append(Entry(write: write, isApplied: false))
            return .refused(3)
        case .done: return apply(write, write.value) { .verified($0) }
        case .doneButSilent: return apply(write, write.value) { _ in .indeterminate("time-out") }
        case .clamped: return apply(write, .double(11.5)) { .clamped($0) }
        case .differs: return apply(write, .double(4.3)) { .differs($0) }
        }
    }

    private mutating func apply(
        _ write: SetpointWrite, _ value: PointValue, _ outcome: (PointValue) -> WriteOutcome
    ) -> WriteOutcome {
        log.append(Entry(write: write, isApplied: true))
        values[write.point] = value
        rebooted.remove(write.point)
        if case .verified = outcome(value), value != write.value { return .differs(value) }
        return outcome(value)
    }

    /// Lets what a converter has kept for long enough arrive.
    mutating func deliverLate() {
        for index in queued.indices { queued[index].delay -= 1 }
        for (write, _) in queued.filter({ $0.delay <= 0 }) { _ = apply(write, write.value) { .verified($0) } }
        queued.removeAll { $0.delay <= 0 }
    }

    mutating func readBack(_ write: SetpointWrite, _ random: inout SeededGenerator) -> ReadBack {
        look(write.point, &random)
    }

    mutating func look(_ point: String, _ random: inout SeededGenerator) -> ReadBack {
        guard isWell || Int.random(in: 0..<4, using: &random) > 0 else { return .unreachable("time-out") }
        if point == "chiller1/running" { return .value(.bool(isRunning)) }
        return values[point].map { .value($0) } ?? .unreachable("no such point")
    }

    mutating func reboot() {
        for point in values.keys { values[point] = .double(6) }
        rebooted = Set(values.keys)
    }
}
