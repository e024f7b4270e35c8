import Console
import Engine
package import ModbusBus
package import Model
import NIOCore
import NIOPosix
import Payloads

/// Reads a device once: through the running gateway where there is one, so that the bus has one master, else directly.
package struct AdHocRead {
    package enum Outcome: Sendable {
        /// One JSON document, as ``ReadDocument`` makes it.
        case document(String)
        case failure(String)
    }

    private let site: Site
    private let telling: BusTelling?
    private let showTrace: (String) -> Void
    private let clock = SystemClock()

    /// - Parameters:
    ///   - telling: for a direct read, with a trace that is listened to; nil for none.
    ///   - showTrace: gets the lines of a trace that comes from the running gateway.
    package init(
        site: Site, telling: BusTelling? = nil, showTrace: @escaping (String) -> Void = { _ in }
    ) {
        self.site = site
        self.telling = telling
        self.showTrace = showTrace
    }

    package func run(_ id: String) async -> Outcome {
        guard let device = site.devices.first(where: { $0.id == id }) else {
            let known = site.devices.map(\.id).joined(separator: ", ")
            return .failure("no device '\(id)'; there are: \(known)")
        }
        if telling != nil {
            let request = ToolRequest(.read(device: id), connection: "", isTraced: true)
            let outcome = ToolClient(stateFolder: site.gateway.stateFolder).run(request) {
                if case .trace(let line) = $0 { showTrace(line) }
            }
            switch outcome {
            case .result(let value): return .document(value.text ?? "")
            case .failure(let reason): return .failure(reason)
            case .elsewhere: break
            }
        } else if let reply = ControlClient(stateFolder: site.gateway.stateFolder).ask("read \(id)") {
            return .document(reply)
        }
        guard let connection = site.connections.first(where: { $0.name == device.connection }) else {
            return .failure("\(id) has no connection")
        }
        return await readDirectly(device, connection)
    }

    private func readDirectly(_ device: Device, _ connection: Connection) async -> Outcome {
        let loops = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        let bus = Buses.make(connection, loop: loops.next(), clock: clock, telling: telling ?? BusTelling())
        let outcome = await read(device, connection, over: bus)
        await bus.close()
        try? await loops.shutdownGracefully()
        return outcome
    }

    private func read(_ device: Device, _ connection: Connection, over bus: any Bus) async -> Outcome {
        var device = device
        let board = StatusBoard()
        if device.sunSpec != nil {
            switch await poller(of: device.undiscovered, connection, bus, board).modelsNow(of: device.id) {
            case .success(let chain): device = device.holding(chain)
            case .failure(let problem): return .failure("\(device.id): \(problem.words)")
            }
        }
        let rows = await poller(of: device, connection, bus, board).readNow(device.id) ?? []
        let document = ReadDocument(
            device: device.id, readings: rows,
            fault: board.status(of: device.id)?.lastFault)
        return .document(String(decoding: document.json, as: UTF8.self))
    }

    private func poller(of device: Device, _ connection: Connection, _ bus: any Bus, _ board: StatusBoard) -> Poller {
        let polled = PolledDevice(device: device, layout: 0, cost: RequestCost(connection.channel))
        return Poller(
            connection: connection, devices: [polled], bus: bus, journal: NoJournal(), clock: clock,
            board: board, phase: 0)
    }
}

/// A read from the shell is not journaled: nobody subscribed to it.
private struct NoJournal: Journal {
    let epoch: UInt32 = 0
    func register(_ layout: DeviceLayout) async throws(JournalError) -> LayoutID { throw .closed }
    func layout(_ id: LayoutID) async throws(JournalError) -> DeviceLayout { throw .closed }
    func append(_ body: JournalEntry.Body) async {}
    func flush() async {}
    func read(from position: Position, limit: Int) async throws(JournalError) -> JournalSlice {
        JournalSlice(entries: [], end: position)
    }
    var next: Position { get async { 1 } }
    func commits() async -> AsyncStream<Position> { AsyncStream { $0.finish() } }
    func pending(for publisher: String) async throws(JournalError) -> [PositionInterval]? { nil }
    func save(_ pending: [PositionInterval], for publisher: String) async {}
    func serve(_ publishers: Set<String>) async {}
    var figures: JournalFigures { get async { JournalFigures(first: 1, next: 1, byteCount: 0) } }
}
