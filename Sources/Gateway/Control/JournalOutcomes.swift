import Dispatch
import Engine
import Model
import SQLiteJournal

/// Builds outcomes from what the journal holds. It reads on a queue of its own: an hour of readings takes a moment.
struct JournalOutcomes: OutcomeSource {
    private let folder: String
    /// How often each point is read, by `device/point`.
    private let periods: [String: Duration]
    private let queue = DispatchQueue(label: "headgate.outcomes")

    /// Rows are journaled soon after their readings were taken.
    private static let margin = Duration.seconds(60)

    init(folder: String, site: Site) {
        self.folder = folder
        periods = Dictionary(
            site.devices.flatMap { device in device.points.map { ("\(device.id)/\($0.name)", $0.every) } }
        ) { first, _ in first }
    }

    func outcome(of plan: OutcomePlan) async -> Outcome? {
        await withCheckedContinuation { continuation in
            queue.async { continuation.resume(returning: try? build(plan)) }
        }
    }

    private func build(_ plan: OutcomePlan) throws -> Outcome {
        let builder = OutcomeBuilder(plan)
        var samples: [String: [ReadingSample]] = [:]
        let needs = builder.needs()
        if let first = needs.map(\.range.lowerBound).min(), let last = needs.map(\.range.upperBound).max() {
            samples = try readings(of: Set(needs.map(\.point)), first..<last)
        }
        return builder.build(samples: samples, periods: periods)
    }

    private func readings(of points: Set<String>, _ range: Range<UnixTime>) throws -> [String: [ReadingSample]] {
        let reader = try JournalReader(path: folder)
        var samples: [String: [ReadingSample]] = [:]
        try reader.forEach(recordedIn: range.lowerBound..<range.upperBound + Self.margin) { row in
            guard case .readings(let batch)? = row.body else { return }
            let layout = try reader.layout(batch.layout)
            guard points.contains(where: { $0.hasPrefix(layout.device + "/") }) else { return }
            for index in batch.points.indices where range.contains(batch.times[index]) {
                guard let id = layout[batch.points[index]], points.contains(id) else { continue }
                samples[id, default: []].append(
                    ReadingSample(
                        point: id, epoch: row.epoch, number: batch.numbers[index], time: batch.times[index],
                        value: batch.values[index], reasons: batch.reasons[index]))
            }
        }
        return samples.mapValues { $0.sorted { $0.time < $1.time } }
    }
}

extension DeviceLayout {
    /// The id of a point; nil for an index that the layout does not have.
    fileprivate subscript(_ point: UInt16) -> String? {
        Int(point) < entries.count ? entries[Int(point)].id : nil
    }
}
