import Engine
import GatewayTesting
import Model
import Testing

/// Random requests, decisions, lease ends, faults and crashes against a device that does everything wrong; the invariants of
/// governed commands are looked at after each step.
@Suite struct DeskModelTests {
    /// Seeds that once failed: always run again.
    static let failedBefore: [UInt64] = [1042, 2007, 2019, 2026, 2036, 2039]
    static let seeds = failedBefore + Array(2000..<2052)
    static let steps = 2000

    @Test(arguments: seeds)
    func nothingThatMayHappenBreaksAnInvariant(seed: UInt64) throws {
        var world = try DeskWorld(seed: seed)
        for _ in 0..<Self.steps where world.faults.isEmpty { try world.step() }
        if world.faults.isEmpty { try world.calmDown() }
        #expect(world.faults.isEmpty, "seed \(seed), step \(world.stepCount): \(world.faults.joined(separator: "; "))")
        // A run in which nothing happens proves nothing.
        #expect(world.device.log.count > 50, "seed \(seed)")
        #expect(world.crashes > 5, "seed \(seed)")
        #expect(world.outages > 3, "seed \(seed)")
    }
}

/// The desk, its ledger, its device and its clock.
struct DeskWorld {
    enum Pending {
        case write(SetpointWrite)
        case readBack(SetpointWrite)
        case look(String)
    }

    let site = ControlFixture.site(settings: { $0.longestExpiry = .seconds(200) })
    var random: SeededGenerator
    var now = ControlFixture.start
    var desk: CommandDesk
    var ledger = MemoryRecords()
    var device = SimulatedChiller()
    var pending: [Pending] = []
    var sent: [WriteTag: Int] = [:]
    var nextID: UInt64 = 1
    var recent: [IncomingRequest] = []
    var readingNumber: UInt64 = 0
    var lastReading: [String: (value: PointValue, isGood: Bool, time: Duration)] = [:]
    var faults: [String] = []
    var stepCount = 0
    var crashes = 0
    /// Not nil while the ledger is away.
    var backlog: Backlog?
    var outages = 0
    /// Writes that no leaf announces yet.
    var unrecorded: Set<WriteTag> = []
    var isCalm = false

    init(seed: UInt64) throws {
        random = SeededGenerator(seed)
        desk = CommandDesk(site: site, at: now)
        let effects = desk.start(at: now)
        try run(effects)
    }

    mutating func chance(_ percent: Int) -> Bool { Int.random(in: 0..<100, using: &random) < percent }

    mutating func pass(_ duration: Duration) {
        now = Moment(utc: now.utc + duration, uptime: now.uptime + duration)
    }

    // MARK: - Steps

    mutating func step() throws {
        stepCount += 1
        pass(
            .milliseconds(
                chance(2) ? Int.random(in: 60_000..<700_000, using: &random) : Int.random(in: 1..<2500, using: &random))
        )
        if chance(88) { try read() }
        if !device.isRunning, chance(15) { device.isRunning = true }
        if !desk.lockoutEntries.isEmpty, chance(15) { try unlock() }
        if backlog != nil, chance(8) { try recover() }
        switch Int.random(in: 0..<100, using: &random) {
        case 0..<38: try ask()
        case 38..<44: try repeatRequest()
        case 44..<54: try decide()
        case 54..<58: try order()
        case 58..<90: try deliver()
        case 90..<92: try crash()
        case 92..<93:
            device.reboot()
            try handle(.tick)
        case 93..<95:
            device.isRunning.toggle()
            try handle(.tick)
        case 96..<97 where backlog == nil:
            loseLedger(desk, desk)
            // Time has passed since the desk looked at its leases.
            try handle(.tick)
        case 95..<96: try handle(.broker(isConnected: chance(70)))
        default: try handle(.tick)
        }
        check()
    }

    private mutating func read() throws {
        device.deliverLate()
        readingNumber += 1
        var samples: [ReadingSample] = []
        for (point, value) in device.values.sorted(by: { $0.key < $1.key }) + [
            ("chiller1/running", .bool(device.isRunning))
        ]
        where isCalm || chance(90) {
            let isBad = !isCalm && chance(3)
            samples.append(
                ReadingSample(
                    point: point, epoch: 1, number: readingNumber, time: now.utc, value: isBad ? .null : value,
                    reasons: isBad ? QualityReasons(.timeout) : []))
            lastReading[point] = (value, !isBad, now.uptime)
        }
        try handle(.readings(samples))
    }

    private mutating func ask() throws {
        let issuer = ControlFixture.issuers.randomElement(using: &random) ?? ControlFixture.ai
        let point = ["a", "b", "c"].randomElement(using: &random) ?? "a"
        let actions: [Command.Action] = [.set, .set, .set, .set, .set, .set, .release, .renew, .cancel]
        var command = ControlFixture.command(
            nextID, issuer, point: point, action: actions.randomElement(using: &random) ?? .set,
            value: Double(Int.random(in: 50...120, using: &random)) / 10, at: now)
        nextID += 1
        if let measured = device.values["chiller1/\(point)"]?.number, command.value != nil, chance(80) {
            command.value = .double(((measured + Double.random(in: -1.5...1.5, using: &random)) * 10).rounded() / 10)
        }
        if chance(20) { command.mode = Command.Mode.allCases.randomElement(using: &random) ?? .write }
        if chance(60) { command.lease = Command.Lease(duration: .seconds(Int.random(in: 5...900, using: &random))) }
        if chance(10) { command.expires = now.utc + .seconds(Int.random(in: -5...5, using: &random)) }
        let request = ControlFixture.request(command, issuer, isProven: !chance(3))
        recent.append(request)
        if recent.count > 20 { recent.removeFirst() }
        try handle(.request(request))
    }

    private mutating func repeatRequest() throws {
        guard var request = recent.randomElement(using: &random) else { return try handle(.tick) }
        if chance(30) { request.digest = [1, 2, 3] }
        try handle(.request(request))
    }

    private mutating func decide() throws {
        guard let held = desk.active.filter({ $0.state == .held }).randomElement(using: &random) else {
            return try handle(.tick)
        }
        let by = ["room", "chief", "panel", "opt"].randomElement(using: &random) ?? "room"
        try handle(
            ControlFixture.decision(
                held.id, isApproval: chance(80), reason: .comfort, by: Sender(name: by), of: desk))
    }

    private mutating func unlock() throws {
        for entry in desk.lockoutEntries {
            let order = IncomingOrder(.lockout(entry.scope, isOn: false), sender: Sender(name: "room"))
            try handle(.order(order))
        }
    }

    private mutating func order() throws {
        let scope: LockoutScope = chance(50) ? .point("chiller1/a") : .site
        let sender = Sender(name: chance(80) ? "room" : "opt")
        if chance(70) {
            try handle(.order(IncomingOrder(.lockout(scope, isOn: chance(40)), sender: sender)))
        } else {
            for issuer in ["opt", "rival"] {
                let point = "chiller1/" + (["a", "b", "c"].randomElement(using: &random) ?? "a")
                let above = Lane.allCases.first { $0.rank == (desk.lane(issuer: issuer, point: point)?.rank ?? 0) + 1 }
                let order = IncomingOrder(.lane(issuer: issuer, point: point, above ?? .shadow), sender: sender)
                try handle(.order(order))
            }
        }
    }

    /// Lets the oldest thing that is out reach the device, and its answer come back.
    mutating func deliver() throws {
        guard !pending.isEmpty else { return try handle(.tick) }
        switch pending.removeFirst() {
        case .write(let write):
            let outcome = device.write(write, &random)
            if chance(30) { pass(.milliseconds(500)) }
            try handle(.wrote(write.tag, outcome))
        case .readBack(let write):
            let outcome = device.readBack(write, &random)
            try handle(.readBack(write.tag, outcome))
        case .look(let point):
            let finding = device.look(point, &random)
            if case .value(let value) = finding { lastReading[point] = (value, true, now.uptime) }
            try handle(.looked(point, finding))
        }
    }

    /// The process dies: what was out may have reached the device or not, and nobody hears of it.
    mutating func crash() throws {
        crashes += 1
        for case .write(let write) in pending where chance(50) { _ = device.write(write, &random) }
        pending = []
        // What was only in memory is lost, the numbers of its writes as well.
        for tag in unrecorded { sent[tag] = nil }
        (backlog, unrecorded) = (nil, [])
        if chance(30) { pass(.seconds(Int.random(in: 1..<900, using: &random))) }
        // Another uptime: it does not survive.
        now.uptime = .seconds(Int.random(in: 10..<5000, using: &random))
        lastReading = [:]
        desk = try CommandDesk(site: site, records: ledger.records, at: now)
        try run(desk.start(at: now))
    }

    /// What was granted goes on ending, and nothing else.
    private mutating func loseLedger(_ recorded: CommandDesk, _ ahead: CommandDesk) {
        outages += 1
        desk = recorded.keepsake.withoutLedger(after: ahead)
        backlog = Backlog(since: now.utc)
    }

    /// All of it is recorded in one commit, and the desk is made anew.
    mutating func recover() throws {
        guard let late = backlog else { return }
        let (records, leaves) = late.commit(gateway: "gw", at: now.utc)
        try ledger.commit(records, leaves)
        if !unrecorded.isSubset(of: ledger.announced) {
            faults.append("a write without a ledger was not recorded later")
        }
        (backlog, unrecorded) = (nil, [])
        let readings = desk.readings
        desk = try CommandDesk(site: site, records: ledger.records, at: now)
        desk.adopt(readings)
        try run(desk.start(at: now))
    }

    mutating func handle(_ event: DeskEvent) throws {
        if var late = backlog {
            guard event.mayBeUnrecorded else { return try handle(.tick) }
            let effects = late.keep(desk.handle(event, at: now))
            backlog = late
            return try run(effects)
        }
        let before = desk
        let effects = desk.handle(event, at: now)
        if !isCalm, chance(1) {
            // The commit does not come about: nothing of it may show.
            if chance(50) {
                loseLedger(before, desk)
                return try handle(event)
            }
            desk = before
            return try crash()
        }
        try run(effects)
    }

    private mutating func run(_ effects: [DeskEffect]) throws {
        for (index, effect) in effects.enumerated() {
            switch effect {
            case .commit(let records, let leaves):
                if index > 0 { faults.append("a commit is not the first effect") }
                try ledger.commit(records, leaves)
                if !isCalm, chance(2) { return try crash() }
            case .write(let write): issue(write)
            case .readBack(let write): pending.append(.readBack(write))
            case .look(let point): pending.append(.look(point))
            case .publish, .collect, .acknowledge, .answer, .beat: continue
            }
        }
    }

    // MARK: - Invariants

    /// What must hold when a write leaves the gateway.
    private mutating func issue(_ write: SetpointWrite) {
        pending.append(.write(write))
        sent[write.tag, default: 0] += 1
        if sent[write.tag] != 1 { faults.append("\(write.tag) is written twice") }
        if backlog != nil {
            unrecorded.insert(write.tag)
            if write.tag.number == 0 { faults.append("\(write.tag) is begun without a ledger") }
            let restoration = desk.slotReports.first { $0.point == write.point }?.restoring
            if write.point == "chiller1/a", restoration != .int(7) { faults.append("\(write) is no fallback") }
            return
        }
        if !ledger.announced.contains(write.tag) { faults.append("\(write.tag) is written without an audit leaf") }
        guard write.tag.number == 0, let command = desk.active.first(where: { $0.id == write.tag.command }) else {
            return
        }
        let running = lastReading["chiller1/running"]
        if running?.isGood != true || running?.value != .bool(true)
            || now.uptime - (running?.time ?? .zero) > .seconds(5)
        {
            faults.append("\(write.tag) is written past its interlock: \(String(describing: running))")
        }
        let entries = desk.slotReports.first { $0.point == write.point }?.entries ?? []
        if let above = entries.first(where: { $0.slot < command.slot }) {
            faults.append("\(command.slot) writes while \(above.slot) holds \(write.point)")
        }
        if desk.lockoutEntries.contains(where: { $0.scope.covers(write.point) }) {
            faults.append("\(write.tag) is written under lockout")
        }
        if command.command.expires <= now.utc { faults.append("\(write.tag) is written after it expired") }
    }

    private mutating func check() {
        for report in desk.slotReports {
            for entry in report.entries where entry.until.map({ $0 <= now.utc - .seconds(1) }) ?? false {
                faults.append("\(report.point): the lease of \(entry.holder) is over and lives")
            }
        }
        let holders = Set(desk.slotReports.flatMap(\.entries).compactMap(\.command))
        for command in desk.active {
            let isHolder = command.isInEffect || command.state == .preempted
            if isHolder != holders.contains(command.id) {
                faults.append("\(command.id) is \(command.state) and \(isHolder ? "holds no slot" : "holds a slot")")
            }
        }
        if desk.active.count > site.limits.inWork.all { faults.append("too many commands in memory") }
        if backlog == nil, ledger.count(ActiveCommand.recordKind) != desk.active.count {
            faults.append("records and memory differ")
        }
    }

    /// Everybody is silent and the device is well: each leased point ends at its fallback, or it is flagged.
    mutating func calmDown() throws {
        isCalm = true
        device.isWell = true
        device.isRunning = true
        try recover()
        for _ in 0..<400 {
            pass(.seconds(5))
            if let deadline = desk.nextDeadline, deadline > now.uptime, pending.isEmpty { pass(.milliseconds(200)) }
            try read()
            while !pending.isEmpty { try deliver() }
            check()
        }
        // Only persons hold a point without an end.
        for command in desk.active
        where command.until != nil || (command.state != .verified && command.state != .preempted) {
            faults.append("\(command.id) is still \(command.state) after everything is over")
        }
        for report in desk.slotReports where report.entries.isEmpty && report.point == "chiller1/a" {
            guard let last = device.log.last(where: { $0.isApplied && $0.write.point == report.point }),
                !device.rebooted.contains(report.point), !report.isAlarm
            else { continue }
            if !(site.points[report.point]?.agree(device.values[report.point] ?? .null, .int(7)) ?? false) {
                faults.append("\(report.point) is at \(device.values[report.point] ?? .null) after \(last.write)")
            }
        }
        if desk.slotReports.contains(where: { $0.restoring != nil || $0.isAlarm }) {
            faults.append("a point is not back although the device is well")
        }
    }
}
