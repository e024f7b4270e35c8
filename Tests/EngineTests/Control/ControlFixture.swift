import Model

@testable import Engine

/// A chiller with three setpoints: one with a fallback value, one that goes back to what it was, one that stays.
enum ControlFixture {
    static let start = Moment(utc: UnixTime(milliseconds: 1_795_218_000_000), uptime: .seconds(1000))

    static let ai = Issuer(name: "opt", category: .ai, lane: .autonomous)
    static let rival = Issuer(name: "rival", category: .ai, lane: .supervised)
    static let schedule = Issuer(name: "clock", category: .schedule, lane: .autonomous)
    static let room = Issuer(name: "room", category: .operator)
    static let chief = Issuer(name: "chief", category: .operator)
    static let panel = Issuer(name: "panel", category: .local)
    static let issuers = [ai, rival, schedule, room, chief, panel]

    static func condition(_ text: String) -> Policy.Condition {
        guard let expression = try? Expression(text) else { preconditionFailure("the fixture is wrong: \(text)") }
        return Policy.Condition(text: text, expression: expression)
    }

    static func policy(_ name: String, fallback: Policy.Fallback = .value(.int(7))) -> Policy {
        Policy(
            name: name, points: ["chiller1/\(name)"], permissions: issuers.map { Policy.Permission(issuer: $0.name) },
            low: 5, high: 12, step: 2, interlocks: [condition("chiller1/running == true")],
            approval: Policy.ApprovalRule(
                aboveStep: 1, approvers: ["room", "chief"], within: .seconds(120), escalation: ["panel"],
                escalateAfter: .seconds(60)),
            lease: Policy.LeaseRule(longest: .seconds(600)), fallback: fallback)
    }

    static func setpoint(_ name: String, _ address: UInt16, _ policy: Policy?) -> ControlledPoint {
        ControlledPoint(
            id: "chiller1/\(name)",
            point: Point(
                name: name, table: .holding, protocolAddress: address,
                encoding: Encoding(type: .int16, scale: DecimalNumber(mantissa: 1, exponent: -1)), unit: "Cel",
                kind: .setpoint, write: WriteRule(mode: .single, low: 4, high: 15)),
            policy: policy)
    }

    static func site(_ change: (inout Policy) -> Void = { _ in }, settings: (inout CommandSettings) -> Void = { _ in })
        -> ControlSite
    {
        var policies = [policy("a"), policy("b", fallback: .previous), policy("c", fallback: .hold)]
        for index in policies.indices { change(&policies[index]) }
        var commands = CommandSettings(issuers: issuers, policies: policies)
        settings(&commands)
        let running = Point(
            name: "running", table: .coil, protocolAddress: 0, encoding: Encoding(type: .bool), kind: .state)
        let temperature = Point(
            name: "temp", table: .input, protocolAddress: 0, encoding: Encoding(type: .float32), unit: "Cel")
        return ControlSite(
            gateway: "gw", settings: commands,
            points: ControlledPoints([
                setpoint("a", 1, policies[0]), setpoint("b", 2, policies[1]), setpoint("c", 3, policies[2]),
                setpoint("bare", 4, nil), ControlledPoint(id: "chiller1/running", point: running, policy: nil),
                ControlledPoint(id: "chiller1/temp", point: temperature, policy: nil),
            ]))
    }

    static func id(_ number: UInt64) -> CommandID { CommandID(high: 0x0193_a1c4_7d1e_7c3a, low: number) }

    static func sample(_ point: String, _ value: PointValue, at now: Moment, number: UInt64 = 1) -> ReadingSample {
        ReadingSample(point: "chiller1/\(point)", epoch: 1, number: number, time: now.utc, value: value)
    }

    static func command(
        _ number: UInt64, _ issuer: Issuer = ai, point: String = "a", action: Command.Action = .set,
        value: Double? = 8, at now: Moment
    ) -> Command {
        let isSet = action == .set
        return Command(
            id: id(number), gateway: "gw", point: "chiller1/\(point)", action: action,
            value: isSet ? value.map { .double($0) } : nil, unit: isSet ? "Cel" : nil, issued: now.utc,
            expires: now.utc + .seconds(120), origin: Command.Origin(category: issuer.category, actor: issuer.name))
    }

    /// A decision about the command as `desk` has it, so that a person who was shown it would make it.
    static func decision(
        _ id: CommandID, isApproval: Bool = true, reason: HumanReason? = nil, note: String? = nil, by sender: Sender,
        of desk: CommandDesk, token: DeliveryToken = 0
    ) -> DeskEvent {
        let digest = desk.active.first { $0.id == id }?.digest ?? []
        return .decision(
            IncomingDecision(
                id: id, gateway: "gw", digest: digest, expires: desk.now.utc + .seconds(300), isApproval: isApproval,
                reason: reason, note: note, sender: sender, token: token))
    }

    static func request(_ command: Command, _ issuer: Issuer = ai, isProven: Bool = true) -> IncomingRequest {
        IncomingRequest(
            command: command, digest: Array(command.document.bytes.suffix(32)),
            sender: Sender(name: issuer.name, isProven: isProven), token: command.id.low)
    }
}
