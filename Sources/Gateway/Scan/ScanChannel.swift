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

/// A channel that is polled: everything goes between two polls, through its one owner.
struct GuestChannel: ScanChannel {
    let poller: Poller
    let bus: any InterviewingBus

    func read(_ span: RegisterSpan, unit: UInt8, timeout: Duration) async throws(BusError) -> [UInt16] {
        let result = await poller.asGuest { () async -> Result<[UInt16], BusError> in
            do throws(BusError) {
                return .success(try await bus.seek(span, unit: unit, timeout: timeout))
            } catch {
                return .failure(error)
            }
        }
        guard let result else { throw .linkDown("the gateway closes the connection") }
        return try result.get()
    }

    func describe(unit: UInt8, timeout: Duration) async -> DeviceDescription {
        await poller.asGuest { await bus.describe(unit: unit, timeout: timeout) } ?? DeviceDescription()
    }

    /// It is the poller's.
    func close() async {}
}
