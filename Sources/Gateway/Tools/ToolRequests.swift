import Console
import Engine
import ModbusBus
import Model
import Payloads

/// Does what tools at the shell ask for, on the connections that are polled: a bus has one master.
struct ToolRequests: Sendable {
    let assembly: Assembly
    let clock: any Timekeeper

    /// Nil for a request that is about something else.
    func stream(_ line: String) -> ControlStream? {
        guard line.hasPrefix("tool ") else { return nil }
        guard let request = ToolRequest(line: line) else {
            return { try await $0.write(ReadDocument.problem(ToolRequest.allowed)) }
        }
        return { try await serve(request, $0) }
    }

    private func serve(_ request: ToolRequest, _ writer: ControlWriter) async throws {
        guard let polled = await assembly.polledConnection(await connection(of: request)) else {
            return try await writer.write(JSONValue.compact([("elsewhere", .bool(true))]).bytes)
        }
        let isTrace = if case .trace = request.job { true } else { false }
        let answer =
            isTrace || request.isTraced
            ? await Self.follow(polled.tap, writer) { await run(request.job, polled, writer) }
            : await run(request.job, polled, writer)
        try await writer.write(answer)
    }

    private func connection(of request: ToolRequest) async -> String {
        guard case .read(let device) = request.job else { return request.connection }
        return await assembly.site?.devices.first { $0.id == device }?.connection ?? ""
    }

    /// - Returns: the last line.
    private func run(_ job: ToolRequest.Job, _ polled: PolledConnection, _ writer: ControlWriter) async -> [UInt8] {
        switch job {
        case .trace(let seconds):
            try? await clock.sleep(until: clock.uptime + .seconds(seconds))
            return Self.line("result", .compact([("seconds", .integer(seconds))]))
        case .read(let device):
            guard let rows = await polled.poller.readNow(device) else {
                return ReadDocument.problem("it is not polled")
            }
            let document = ReadDocument(
                device: device, readings: rows,
                fault: assembly.board.status(of: device)?.lastFault)
            return Self.line("result", .string(String(decoding: document.json, as: UTF8.self)))
        case .probe(let span, let unit):
            do throws(BusError) {
                let words = try await guest(of: polled).read(span, unit: unit, timeout: polled.connection.timeout)
                return Self.line("result", .array(words.map { .integer($0) }))
            } catch {
                return ReadDocument.problem(BusProbe.words(error, span, unit))
            }
        case .scan(let order): return await scan(order, polled, writer)
        }
    }

    /// What goes between the polls of a connection.
    private func guest(of polled: PolledConnection) -> GuestChannel {
        let name = polled.connection.name
        return GuestChannel(connection: polled.connection, clock: clock) { [assembly] in
            await assembly.polledConnection(name)
        }
    }

    // MARK: - Scanning

    private func scan(_ order: ScanOrder, _ polled: PolledConnection, _ writer: ControlWriter) async -> [UInt8] {
        if let obstacle = order.obstacle(on: polled.connection) { return ReadDocument.problem(obstacle) }
        let profiles = ScanProfiles.all(in: await assembly.site?.profileFolders ?? [])
        var connection = polled.connection
        connection.timeout = order.timeout
        let scan = BusScan(
            connection, plan: order.plan(on: connection, profiles: profiles), profiles: profiles,
            telling: BusTelling(trace: polled.tap), shared: order.pausesPolling ? nil : guest(of: polled))
        if order.pausesPolling { await assembly.pausePolls(of: polled.connection.name) }
        // Whoever asked may be gone: the scan ends then, and in every case the polls go on.
        let report = try? await scan.run { try? await writer.write(Self.line("progress", $0.document)) }
        if order.pausesPolling { await assembly.resumePolls(of: polled.connection.name) }
        guard var report else { return ReadDocument.problem("the scan could not be run") }
        // As the site file is now: it may have changed since.
        let devices = await assembly.polledConnection(polled.connection.name)?.devices ?? []
        for index in report.units.indices {
            report.units[index].device = devices.first { $0.unit == report.units[index].unit }?.id
        }
        return Self.line(
            "result",
            .compact([
                ("json", .string(String(decoding: report.json, as: UTF8.self))), ("text", .string(report.text)),
                ("failure", .optional(report.failure)), ("found", .integer(report.units.count)),
            ]))
    }

    // MARK: - Tracing

    /// Shows what `tap` tells while `body` runs. A client that is gone ends the task that this runs in.
    @discardableResult
    private static func follow<Value: Sendable>(
        _ tap: TraceTap, _ writer: ControlWriter, while body: @escaping @Sendable () async -> Value
    ) async -> Value {
        let listener = tap.listen()
        async let shown: Void = show(listener, writer)
        let value = await body()
        tap.end(listener)
        await shown
        return value
    }

    private static func show(_ listener: TraceListener, _ writer: ControlWriter) async {
        while let (events, lost) = await listener.next() {
            for event in events {
                guard (try? await writer.write(line("trace", .string(event.text)))) != nil else { return }
            }
            if lost > 0 { try? await writer.write(line("lost", .integer(lost))) }
        }
    }

    private static func line(_ key: String, _ value: JSONValue) -> [UInt8] {
        JSONValue.compact([(key, value)]).bytes
    }
}

extension BusScan.Progress {
    /// As ``ToolClient`` reads it.
    fileprivate var document: JSONValue {
        .compact([
            ("baud", line.map { .integer($0.baud) } ?? .null), ("format", .optional(line?.format.name)),
            ("unit", .integer(unit)), ("asked", .integer(asked)), ("limit", .integer(limit)),
            ("found", .integer(found)),
            ("remaining_ms", remaining.map { .integer($0.microseconds / 1000) } ?? .null),
        ])
    }
}
