import Engine
import ModbusBus
import Model

/// What a scan does on a channel.
protocol ScanChannel: Sendable {
    func read(_ span: RegisterSpan, unit: UInt8, timeout: Duration) async throws(BusError) -> [UInt16]
    func describe(unit: UInt8, timeout: Duration) async -> DeviceDescription
    func close() async
}

/// A channel that the scan has for itself.
struct OwnChannel: ScanChannel {
    private let bus: any InterviewingBus

    init(_ bus: any InterviewingBus) {
        self.bus = bus
    }

    func read(_ span: RegisterSpan, unit: UInt8, timeout: Duration) async throws(BusError) -> [UInt16] {
        try await bus.seek(span, unit: unit, timeout: timeout)
    }

    func describe(unit: UInt8, timeout: Duration) async -> DeviceDescription {
        await bus.describe(unit: unit, timeout: timeout)
    }

    func close() async {
        await bus.close()
    }
}

/// A channel that is polled: everything goes between two polls, through its one owner. When a change of the site file gives
/// it another owner, the guest goes on with that one.
struct GuestChannel: ScanChannel {
    let connection: Connection
    let clock: any Timekeeper
    /// Who polls the connection at this moment; nil while that changes, and when nobody does any more.
    let owner: @Sendable () async -> PolledConnection?

    /// How long nobody may poll the connection while the site file changes.
    private static let patience = Duration.seconds(10)

    func read(_ span: RegisterSpan, unit: UInt8, timeout: Duration) async throws(BusError) -> [UInt16] {
        try await ask { bus in
            do throws(BusError) {
                return .success(try await bus.seek(span, unit: unit, timeout: timeout))
            } catch {
                return .failure(error)
            }
        }
    }

    func describe(unit: UInt8, timeout: Duration) async -> DeviceDescription {
        do throws(BusError) {
            return try await ask { .success(await $0.describe(unit: unit, timeout: timeout)) }
        } catch {
            return DeviceDescription()
        }
    }

    /// It is the poller's.
    func close() async {}

    private func ask<Value: Sendable>(
        _ request: @escaping @Sendable (any InterviewingBus) async -> Result<Value, BusError>
    ) async throws(BusError) -> Value {
        let end = clock.uptime + Self.patience
        repeat {
            if let polled = await owner() {
                guard polled.connection.channel == connection.channel else {
                    throw .linkDown(
                        "the site file was changed: \(connection.name) is another line or has other settings now")
                }
                let result = await polled.poller.asGuest { await request(polled.bus) }
                if let result, await !isLost(result, with: polled.poller) { return try result.get() }
            }
            if await owner()?.poller.isPaused == true { throw .linkDown(Poller.pauseReason) }
            if Task.isCancelled { throw .linkDown("cancelled") }
            try? await clock.sleep(until: clock.uptime + .milliseconds(50))
        } while clock.uptime < end
        throw .linkDown("the site file was changed: \(connection.name) is no longer polled")
    }

    /// Whether the request ended because its owner was replaced: then it is repeated with the next one.
    private func isLost<Value>(_ result: Result<Value, BusError>, with poller: Poller) async -> Bool {
        guard case .failure(.linkDown) = result else { return false }
        return await owner()?.poller !== poller
    }
}
