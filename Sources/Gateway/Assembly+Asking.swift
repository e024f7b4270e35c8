import Engine
import Foundation
import Model
import Payloads
import SQLiteJournal

/// What is known of a site at work, and what may be asked of its devices.
extension Assembly {
    /// Every device of the site, see ``DevicesDocument``.
    func devicesDocument() -> JSONValue {
        guard let site else { return .compact([("devices", .array([]))]) }
        return DevicesDocument(site: site, board: board.all, now: clock.utc).value
    }

    /// What a broker is told whenever a session stands: the state, then every device.
    func greeting() async -> [Announcement] {
        guard let site else { return [] }
        let status = await status(.online).message
        let gateway = site.gateway.id
        let documents = site.devices.map { device -> Announcement in
            { DeviceDocument(device).message(gateway: gateway) }
        }
        return [{ status }] + documents
    }

    func publishStatus() async {
        let message = await status(.online).message
        for running in publishers.values { await running.publisher.say(message) }
    }

    /// The state of everything at this moment.
    func status(_ state: StatusDocument.State) async -> StatusDocument {
        var document = document(state, isWill: false)
        document.devices = board.all
        document.journal = await journal.figures
        document.commands = await commands?.center.status
        document.commandFigures = await commandCenter?.summary ?? .null
        for (name, running) in publishers {
            var figures = await running.publisher.figures
            figures.drainSeconds = rates.drainSeconds(name)
            document.publishers[name] = figures
        }
        return document
    }

    func document(_ state: StatusDocument.State, isWill: Bool) -> StatusDocument {
        StatusDocument(
            gateway: site?.gateway.id ?? "", state: state, epoch: journal.epoch, version: headgateVersion,
            time: isWill ? nil : clock.utc)
    }

    /// Notes the counters of this moment; called once a second.
    func sample(_ status: StatusDocument) {
        guard let journal = status.journal else { return }
        let writes = try? String(contentsOfFile: "/proc/self/io", encoding: .utf8)
        rates.add(
            Rates.Sample(
                uptime: clock.uptime, readings: journal.readings, rows: journal.next, commits: journal.commits,
                syncs: journal.syncs, bytesWritten: writes.flatMap(DiskWrites.byteCount),
                pending: status.publishers.mapValues(\.pending)))
    }

    /// What the buffer does, as ``JournalReport/Live`` reads it.
    func journalDocument() async -> [UInt8] {
        let status = await status(.online)
        var json = JSONWriter()
        json.object { json in
            json.member("window_s") { $0.number(rates.seconds) }
            json.optional("readings_per_s", rates.perSecond(\.readings)) { $0.number($1) }
            json.optional("rows_per_s", rates.perSecond(\.rows)) { $0.number($1) }
            json.optional("commits_per_s", rates.perSecond(\.commits)) { $0.number($1) }
            json.optional("fsyncs_per_s", rates.perSecond(\.syncs)) { $0.number($1) }
            json.optional("bytes_written_per_day", rates.perSecond(\.bytesWritten)) { $0.number($1 * 86_400) }
            json.member("lost_readings") { $0.integer(status.journal?.lostReadings ?? 0) }
            json.member("volatile_rows") { $0.integer(status.journal?.volatileRows ?? 0) }
            json.optional("fault", status.journal?.fault) { $0.string($1) }
            json.member("publishers") {
                $0.object { list in
                    for (name, figures) in status.publishers.sorted(by: { $0.key < $1.key }) {
                        list.member(name) { $0.publisher(figures) }
                    }
                }
            }
        }
        return json.bytes
    }

    /// What the journal has, and may still evict.
    var storedPositions: Range<Position> {
        get async {
            let figures = await journal.figures
            return figures.first..<max(figures.first, figures.next)
        }
    }

    /// Gives a publisher rows to deliver again.
    ///
    /// - Returns: false when there is no such publisher.
    func replay(_ positions: [ClosedRange<Position>], to name: String) async -> Bool {
        guard let running = publishers[name] else { return false }
        for range in positions { await running.publisher.replay(range) }
        return true
    }

    var publisherNames: [String] { publishers.keys.sorted() }

    /// Writes a point through its connection and confirms it, see ``Poller/write(_:point:value:)``.
    func write(_ device: String, point: String, value: PointValue) async -> WriteOutcome {
        guard let poller = poller(of: device) else { return .notSent("no device '\(device)' is polled") }
        return await poller.write(device, point: point, value: value)
    }

    /// Reads where writes of a point are confirmed, see ``Poller/readBack(_:point:)``.
    func readBack(_ device: String, point: String) async -> ReadBack {
        guard let poller = poller(of: device) else { return .unreachable("no device '\(device)' is polled") }
        return await poller.readBack(device, point: point)
    }

    /// A connection that is polled, for whoever wants to look at it.
    ///
    /// - Parameter name: its name, or its endpoint.
    func polledConnection(_ name: String) -> PolledConnection? {
        guard let site, let connection = site.connections.first(where: { $0.name == name || $0.isAt(name) }),
            let running = connections[connection.name], let tap = taps[connection.name]
        else { return nil }
        return PolledConnection(
            connection: connection, devices: running.devices, poller: running.poller, bus: running.bus, tap: tap)
    }

    /// Leaves a connection alone until ``resumePolls(of:)``, whatever becomes of it meanwhile; see ``Poller/pause()``.
    func pausePolls(of name: String) async {
        pauses[name, default: 0] += 1
        await connections[name]?.poller.pause()
    }

    func resumePolls(of name: String) async {
        pauses[name, default: 1] -= 1
        if pauses[name] == 0 { pauses[name] = nil }
        await connections[name]?.poller.resume()
    }

    /// Feeds a device's watchdog, see ``Poller/beat(_:point:value:)``.
    func beat(_ device: String, point: String, value: PointValue) async -> String? {
        guard let poller = poller(of: device) else { return "no device '\(device)' is polled" }
        return await poller.beat(device, point: point, value: value)
    }

    func poller(of device: String) -> Poller? {
        connections.values.first { $0.devices.contains { $0.id == device } }?.poller
    }

    /// Reads a device now, through its connection; nil when there is no such device.
    func readNow(_ device: String) async -> [(point: Point, value: PointValue, reasons: QualityReasons)]? {
        await poller(of: device)?.readNow(device)
    }
}

extension JSONWriter {
    fileprivate mutating func publisher(_ figures: PublisherFigures) {
        object { json in
            json.member("state") { $0.string(figures.state.rawValue) }
            json.optional("trouble", figures.trouble) { $0.string($1) }
            json.member("pending") { $0.integer(figures.pending) }
            json.member("set_aside") { $0.integer(figures.setAside) }
            json.member("oldest_seq") { $0.integer(figures.oldest) }
            json.optional("drain_s", figures.drainSeconds) { $0.number($1) }
        }
    }
}
