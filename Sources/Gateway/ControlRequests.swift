import Console
import Engine
import Model
import Payloads

/// Answers the requests of the local socket, each with one JSON document.
struct ControlRequests {
    let assembly: Assembly
    let clients: ControlClients

    func answer(_ request: String, from peer: Peer) async -> [UInt8] {
        let words = request.split(separator: " ").map(String.init)
        if let answer = await CommandRequests(assembly: assembly, peer: peer).answer(request) { return answer }
        switch (words.first, words.count) {
        case ("status", 1): return await status()
        case ("devices", 1): return await assembly.devicesDocument().bytes
        case ("forget", 2): return await forget(words[1])
        case ("read", 2): return await read(words[1])
        case ("journal", 1): return await assembly.journalDocument()
        case ("replay", 3...): return await replay(to: words[1], words.dropFirst(2))
        default:
            return problem(
                "unknown request; allowed: status, devices, forget DEVICE, journal, read DEVICE, replay PUBLISHER FROM-TO …, commands [ID], "
                    + "metrics QUERY, "
                    + "command, rehearse, decide and order NAME DOCUMENT")
        }
    }

    private func status() async -> [UInt8] {
        var document = await assembly.status(.online)
        document.localSocket = clients.figures.document
        return document.json
    }

    /// `{"device","forgotten":{"refused","cuts","registers","bits"}}`: how many, and the limits that were found.
    private func forget(_ device: String) async -> [UInt8] {
        do {
            guard let known = try await assembly.forgetLearned(of: device) else {
                return problem("no device '\(device)'")
            }
            let forgotten: [(String, JSONValue)] = [
                ("refused", .integer(known.refused.count)), ("cuts", .integer(known.cuts.count)),
                ("registers", known.registerLimit.map { .integer($0) } ?? .null),
                ("bits", known.bitLimit.map { .integer($0) } ?? .null),
            ]
            return JSONValue.compact([("device", .string(device)), ("forgotten", .compact(forgotten))]).bytes
        } catch {
            return problem("forgotten until the next start only: the file cannot be written: \(error)")
        }
    }

    private func read(_ device: String) async -> [UInt8] {
        guard let rows = await assembly.readNow(device) else { return problem("no device '\(device)'") }
        return ReadDocument(
            device: device, readings: rows,
            fault: assembly.board.status(of: device)?.lastFault
        ).json
    }

    /// - Parameter ranges: positions as `FROM-TO`.
    private func replay(to publisher: String, _ ranges: ArraySlice<String>) async -> [UInt8] {
        var positions: [ClosedRange<Position>] = []
        for range in ranges {
            let ends = range.split(separator: "-").compactMap { Position($0, in: Position.storable) }
            guard ends.count == 2, ends[0] <= ends[1] else {
                return problem("'\(range)' is no range of positions; one is FROM-TO, such as 17-42")
            }
            positions.append(ends[0]...ends[1])
        }
        let stored = await assembly.storedPositions
        positions = positions.filter(stored.overlaps).map { $0.clamped(to: stored.lowerBound...stored.upperBound - 1) }
        guard !positions.isEmpty else { return problem("nothing is stored in that stretch") }
        guard await assembly.replay(positions, to: publisher) else {
            let known = await assembly.publisherNames.joined(separator: ", ")
            return problem("no publisher '\(publisher)'; there are: \(known)")
        }
        var json = JSONWriter()
        json.object { json in
            json.member("rows") { $0.integer(positions.reduce(0) { $0 &+ $1.upperBound - $1.lowerBound + 1 }) }
        }
        return json.bytes
    }

    private func problem(_ text: String) -> [UInt8] {
        ReadDocument.problem(text)
    }
}

extension ControlClients.Figures {
    /// Null where nothing was turned away.
    fileprivate var document: JSONValue {
        let counts = [
            ("refused_clients", refusedClients), ("refused_jobs", refusedJobs), ("idle_clients", idleClients),
            ("long_requests", longRequests),
        ].filter { $0.1 > 0 }
        return counts.isEmpty
            ? .null
            : .compact([("clients", .integer(clients)), ("jobs", .integer(jobs))] + counts.map { ($0, .integer($1)) })
    }
}
