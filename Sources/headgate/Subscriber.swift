import Foundation
import Synchronization

/// One point as a subscriber sees it.
struct DemoReading: Sendable {
    var value: String
    var unit: String
    var quality: String
}

/// Keeps the newest reading of each point that comes from the broker.
final class Subscriber: Sendable {
    private struct Batch: Decodable {
        struct Reading: Decodable {
            var point: String
            var value: JSONValue
            var unit: String?
            var quality: String
        }

        var readings: [Reading]
    }

    private let subscription: Subscription
    private let newest = Mutex<[String: DemoReading]>([:])

    init(port: Int) {
        subscription = Subscription(port: port, topics: ["headgate/v1/demo/r/#"])
    }

    var rows: [String: DemoReading] { newest.withLock { $0 } }

    /// Listens while `body` runs.
    func listen(while body: () async -> Void) async throws {
        try subscription.start()
        await withTaskGroup(of: Void.self) { group in
            group.addTask { for await line in self.subscription.lines { self.take(line) } }
            await body()
            subscription.stop()
        }
    }

    private func take(_ line: String) {
        guard let batch = try? JSONDecoder().decode(Batch.self, from: Data(line.utf8)) else { return }
        newest.withLock { rows in
            for reading in batch.readings {
                rows[reading.point] = DemoReading(
                    value: reading.value.text, unit: reading.unit ?? "", quality: reading.quality)
            }
        }
    }
}
