import Engine
package import ModbusBus
package import Model
import NIOCore
import NIOPosix

/// Looks for units on a connection and asks them who they are. It only ever reads.
package struct BusScan: Sendable {
    /// How far it is, for whoever watches.
    package struct Progress: Hashable, Sendable {
        package var line: SerialLine?
        package var unit: UInt8
        /// Questions whether somebody is there, so far and at the most; those that units are asked who they are come on top.
        package var asked: Int
        package var limit: Int
        package var found: Int
        /// How long it takes at the most from now on, by what it has taken so far; nil at the begin.
        package var remaining: Duration?
    }

    private let connection: Connection
    private let plan: ScanPlan
    private let matching: ProfileMatching
    private let telling: BusTelling
    private let shared: (any ScanChannel)?
    private let clock = SystemClock()

    package init(
        _ connection: Connection, plan: ScanPlan, profiles: [DeviceProfile], telling: BusTelling? = nil
    ) {
        self.init(connection, plan: plan, profiles: profiles, telling: telling ?? BusTelling(), shared: nil)
    }

    /// - Parameter shared: the channel that everything goes through; nil to open the connection itself.
    init(
        _ connection: Connection, plan: ScanPlan, profiles: [DeviceProfile], telling: BusTelling,
        shared: (any ScanChannel)?
    ) {
        self.connection = connection
        self.plan = plan
        self.telling = telling
        self.shared = shared
        matching = ProfileMatching(profiles: profiles)
    }

    package func run(progress: (Progress) async -> Void) async throws -> ScanReport {
        let loops = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        var report = ScanReport(endpoint: connection.endpoint)
        report.unrecognisableProfiles = matching.profiles.count { $0.identity.isEmpty && $0.sunSpec == nil }
        var pace = ScanPace(limit: plan.limit, start: clock.uptime)
        // First whoever is likely, at all settings; then everybody, setting by setting.
        let attempts = plan.lines.count > 1 ? [plan.likelyUnits, plan.units] : [plan.units]
        search: for units in attempts {
            for line in plan.lines {
                guard try await hasAnswer(on: line, from: units, loops, &report, &pace, progress) else {
                    if report.failure != nil { break search }
                    continue
                }
                report.line = line
                break search
            }
        }
        try await loops.shutdownGracefully()
        return report
    }

    private func connection(on line: SerialLine?) -> Connection {
        var tuned = connection
        if let line { tuned.channel = .serial(line) }
        return tuned
    }

    /// Asks `units` at one setting; the first answer settles it, and then all units are asked.
    private func hasAnswer(
        on line: SerialLine?, from units: [UInt8], _ loops: MultiThreadedEventLoopGroup, _ report: inout ScanReport,
        _ pace: inout ScanPace, _ progress: (Progress) async -> Void
    ) async throws -> Bool {
        let bus =
            shared
            ?? OwnChannel(
                Buses.makeInterviewing(connection(on: line), loop: loops.next(), clock: clock, telling: telling))
        let found = await sweep(bus, units, line, &report, &pace, progress, stopsAtFirst: units != plan.units)
        if !found.isEmpty {
            if units != plan.units { pace.settle(questions: plan.units.count) }
            let all =
                units == plan.units
                ? found : await sweep(bus, plan.units, line, &report, &pace, progress, stopsAtFirst: false)
            for (unit, exception) in all {
                report.units.append(await identify(bus, unit: unit, exception: exception, &report))
            }
        }
        await bus.close()
        return !found.isEmpty
    }

    private func sweep(
        _ bus: any ScanChannel, _ units: [UInt8], _ line: SerialLine?, _ report: inout ScanReport,
        _ pace: inout ScanPace, _ progress: (Progress) async -> Void, stopsAtFirst: Bool
    ) async -> [(UInt8, UInt8?)] {
        var found: [(UInt8, UInt8?)] = []
        let span = RegisterSpan(table: .holding, start: 0, registerCount: 1)
        for unit in units {
            guard !Task.isCancelled else {
                report.failure = "cancelled"
                return found
            }
            report.requests += 1
            do throws(BusError) {
                _ = try await bus.read(span, unit: unit, timeout: connection.timeout)
                found.append((unit, nil))
            } catch {
                switch error {
                // The gateway in between says that nobody is there.
                case .refused(0x0A), .refused(0x0B): break
                case .refused(let code): found.append((unit, code))
                case .linkDown(let reason):
                    report.failure = reason
                    return found
                // It answers, even if not as the protocol says.
                case .mismatch: found.append((unit, nil))
                case .noResponse, .garbled, .invalidRequest: break
                }
            }
            pace.asked += 1
            await progress(
                Progress(
                    line: line, unit: unit, asked: pace.asked, limit: pace.limit, found: found.count,
                    remaining: pace.remaining(at: clock.uptime)))
            if stopsAtFirst, !found.isEmpty { break }
        }
        return found
    }

    private func identify(
        _ bus: any ScanChannel, unit: UInt8, exception: UInt8?, _ report: inout ScanReport
    ) async -> FoundUnit {
        let description = await bus.describe(unit: unit, timeout: connection.timeout)
        var asked = 0
        let profiles = await matching.matches(description) { span in
            asked += 1
            return try? await bus.read(span, unit: unit, timeout: connection.timeout)
        }
        report.requests += asked
        return FoundUnit(unit: unit, exception: exception, description: description, profiles: profiles)
    }
}
