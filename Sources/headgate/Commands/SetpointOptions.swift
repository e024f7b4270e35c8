import ArgumentParser
import Gateway
import Model

/// What `set` and `dry-run` have in common: a value for a point.
struct SetpointOptions: ParsableArguments {
    @Argument(help: ArgumentHelp("The point.", valueName: "device/point"))
    var target: String

    @Argument(help: "Number, true or false, text, or a label of the point. A negative number goes last, behind --.")
    var value: String

    @Option(
        help:
            "Unit (UCUM) in which you mean the value; refused unless it is that of the point. Default: that of the point."
    )
    var unit: String?

    @Option(
        name: .customLong("for"), parsing: .unconditional,
        help: ArgumentHelp(
            "How long you want the point: 90s, 30m, 2h, 1d, at most what the policy says. Then it goes to its fallback. Default: until you release it.",
            valueName: "duration"))
    var lease: DurationArgument?

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp("Refuse unless the point has this value now.", valueName: "value"))
    var expect: String?

    @Option(help: "How far the point may be from --expect.")
    var tolerance: Double = 0

    @Option(help: "write, advise (a person must approve) or shadow (judge and record, write nothing).")
    var mode = Command.Mode.write

    @OptionGroup var why: ReasonOptions

    func validate() throws {
        guard tolerance >= 0, tolerance.isFinite else { throw ValidationError("--tolerance must be 0 or more") }
        if tolerance > 0, expect == nil { throw ValidationError("--tolerance is for --expect") }
    }

    var draft: CommandDraft {
        CommandDraft(
            target: target, action: .set, value: value, unit: unit, lease: lease?.duration, expected: expect,
            tolerance: tolerance, mode: mode, reason: why.reason, note: why.note)
    }
}

extension CommandDraft {
    /// The command, new and issued now.
    func command(_ site: Site, as name: String) throws -> Command {
        let now = SystemClock().utc
        var generator = SystemRandomNumberGenerator()
        return try command(id: CommandID(at: now, using: &generator), site: site, as: name, at: now)
    }
}
