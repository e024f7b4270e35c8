import Model
import Synchronization

/// One point as a subscriber sees it.
struct DemoReading: Sendable {
    var value: String
    var unit: String
    var quality: String
}

/// Keeps the newest reading of each point that comes from the broker.
final class Subscriber: Sendable {
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
        guard let batch = try? JSONValue(parsing: Array(line.utf8)) else { return }
        newest.withLock { rows in
            for reading in batch["readings"]?.elements ?? [] {
                guard let point = reading["point"]?.text else { continue }
                rows[point] = DemoReading(
                    value: reading["value"]?.pointValue?.plain ?? "null", unit: reading["unit"]?.text ?? "",
                    quality: reading["quality"]?.text ?? "")
            }
        }
    }
}
