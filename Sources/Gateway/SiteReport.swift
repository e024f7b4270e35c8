package import Model
import Payloads
package import Profiles

/// What `headgate check` tells about a site: problems, read plans, how busy each serial line will be.
package struct SiteReport: Sendable {
    private let loaded: Loaded<Site>

    package init(_ loaded: Loaded<Site>) {
        self.loaded = loaded
    }

    /// For people.
    package var text: String {
        guard let site = loaded.value else { return "" }
        var lines: [String] = []
        for connection in site.connections {
            let load = load(of: connection, site)
            lines.append(
                "\(connection.name): \(connection.channelName) \(connection.endpoint), time-out \(connection.timeout.text)"
            )
            for device in site.devices(on: connection) { lines += plan(of: device, connection) }
            if case .serial(let line) = connection.channel {
                lines.append(
                    "  bus: \(percent(load.utilisation)) of \(line.baud) \(line.format.name) used\(advice(load))")
            } else {
                lines.append("  \(rounded(load.requestsPerSecond)) requests per second")
            }
        }
        lines += site.commands.policies.compactMap { approval(of: $0, site.commands) }
        let points = site.devices.reduce(0) { $0 + $1.points.count }
        let counts = [(site.devices.count, "device"), (points, "point"), (site.publishers.count, "publisher")]
        let words = counts.map { "\($0) \($1)\($0 == 1 ? "" : "s")" }
        lines.append("\(words.joined(separator: ", ")): all clear")
        return lines.joined(separator: "\n")
    }

    /// What `above_step` leaves out surprises: a policy with it asks about machines that are supervised only.
    private func approval(of policy: Policy, _ commands: CommandSettings) -> String? {
        guard let limit = policy.approval?.aboveStep else { return nil }
        let persons = commands.issuers.filter { issuer in
            issuer.category.isPerson && policy.permissions.contains { $0.issuer == issuer.name }
        }
        let free = persons.map(\.name) + ["machines in the lane autonomous"]
        return """
            policy \(policy.name): approval with above_step: \(rounded(limit)) holds larger steps of machines in the lane \
            supervised; \(free.joined(separator: ", ")) write without approval; without above_step every command is held
            """
    }

    private func plan(of device: Device, _ connection: Connection) -> [String] {
        let plan = ReadPlan(points: device.points, limits: device.limits, cost: RequestCost(connection.channel))
        let isSlower = device.minimumTimeout > connection.timeout
        let timeout = isSlower ? ", time-out \(device.minimumTimeout.text)" : ""
        let found = device.sunSpec.map { sunSpec in
            "    models \(sunSpec.wanted.map(String.init).joined(separator: ", ")) are found at run time;"
                + " shown as if the device had each once"
        }
        return ["  \(device.id): \(device.profile), unit \(device.unit)\(timeout)"] + [found].compactMap { $0 }
            + plan.jobs.map { job in
                let spans = job.blocks.map { "\($0.span) (\($0.items.count))" }.joined(separator: ", ")
                return "    every \(job.period.text): \(spans)"
            }
    }

    private func advice(_ load: BusLoad) -> String {
        guard load.utilisation > 0.8 else { return "" }
        let fastest = load.periods.map { "\(load.fastest($0).text) instead of \($0.text)" }.joined(separator: ", ")
        return load.utilisation > 1
            ? "; the periods cannot be met, the fastest that can: \(fastest); or poll fewer points"
            : "; little is left for retries and commands, a fifth would be with \(fastest)"
    }

    private func load(of connection: Connection, _ site: Site) -> BusLoad {
        let cost = RequestCost(connection.channel)
        let plans = site.devices(on: connection).map { device in
            (plan: ReadPlan(points: device.points, limits: device.limits, cost: cost), pause: device.limits.pause)
        }
        return BusLoad(plans: plans, cost: cost)
    }

    private func percent(_ share: Double) -> String {
        "\(Int(clamping: (share * 100).rounded())) %"
    }

    private func rounded(_ number: Double) -> String {
        String((number * 10).rounded() / 10)
    }

    /// For programs: `{"ok","problems":[{file,line,column,severity,message}],"connections":[{name,endpoint,utilisation,…}]}`.
    package var json: [UInt8] {
        var json = JSONWriter(capacity: 4096)
        json.object { json in
            json.member("ok") { $0.bool(loaded.isClean) }
            json.member("problems") { $0.array { list in loaded.problems.forEach { list.problem($0) } } }
            json.member("connections") {
                $0.array { list in
                    guard let site = loaded.value else { return }
                    for connection in site.connections { self.connection(connection, site, &list) }
                }
            }
        }
        return json.bytes
    }

    private func connection(_ connection: Connection, _ site: Site, _ json: inout JSONWriter) {
        let load = load(of: connection, site)
        json.object { json in
            json.member("name") { $0.string(connection.name) }
            json.member("channel") { $0.string(connection.channelName) }
            json.member("endpoint") { $0.string(connection.endpoint) }
            json.member("requests_per_s") { $0.number(load.requestsPerSecond) }
            if case .serial = connection.channel {
                json.member("utilisation") { $0.number(load.utilisation) }
                json.member("periods") { $0.array { list in load.periods.forEach { list.period($0, load) } } }
            }
            json.member("devices") {
                $0.array { list in
                    for device in site.devices(on: connection) { self.device(device, connection, &list) }
                }
            }
        }
    }

    private func device(_ device: Device, _ connection: Connection, _ json: inout JSONWriter) {
        let plan = ReadPlan(points: device.points, limits: device.limits, cost: RequestCost(connection.channel))
        json.object { json in
            json.member("id") { $0.string(device.id) }
            json.member("profile") { $0.string(device.profile) }
            json.member("unit") { $0.integer(device.unit) }
            json.member("requests") {
                $0.array { list in
                    for job in plan.jobs {
                        for block in job.blocks { list.request(block, job, device) }
                    }
                }
            }
        }
    }
}

extension JSONWriter {
    fileprivate mutating func problem(_ problem: Problem) {
        object { json in
            json.member("file") { $0.string(problem.file) }
            json.member("line") { $0.integer(problem.line) }
            json.member("column") { $0.integer(problem.column) }
            json.member("severity") { $0.string(problem.severity.rawValue) }
            json.member("message") { $0.string(problem.message) }
        }
    }

    fileprivate mutating func period(_ period: Duration, _ load: BusLoad) {
        object { json in
            json.member("period_ms") { $0.integer(period.milliseconds) }
            json.member("fastest_ms") { $0.integer(load.fastest(period).milliseconds) }
        }
    }

    fileprivate mutating func request(_ block: ReadBlock, _ job: PollJob, _ device: Device) {
        object { json in
            json.member("table") { $0.string(block.span.table.rawValue) }
            json.member("address") { $0.integer(block.span.start) }
            json.member("count") { $0.integer(block.span.registerCount) }
            json.member("period_ms") { $0.integer(job.period.milliseconds) }
            json.member("points") {
                $0.array { list in block.items.forEach { list.string(device.points[$0.point].name) } }
            }
        }
    }
}

extension Connection {
    /// The key of the site file that made it.
    fileprivate var channelName: String {
        switch channel {
        case .tcp: "tcp"
        case .rtuOverTCP: "rtu_over_tcp"
        case .serial: "serial"
        }
    }
}
