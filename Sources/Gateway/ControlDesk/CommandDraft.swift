package import Model

/// A command as somebody writes it at the shell; the site file completes it.
package struct CommandDraft: Sendable {
    /// `device/point`.
    package var target: String
    package var action: Command.Action
    /// As written: a number, true or false, a text, or a label of the point's enumeration.
    package var value: String?
    /// UCUM; that of the point where nil.
    package var unit: String?
    /// How long the point is to be held.
    package var lease: Duration?
    /// What the point should be now, written as ``value``.
    package var expected: String?
    package var tolerance: Double
    package var mode: Command.Mode
    /// Why: one of the words of ``HumanReason``, or own words.
    package var reason: String?
    /// In own words, beside a reason that is one of the list.
    package var note: String?
    /// The one command that a renewal or a cancellation is about.
    package var subject: CommandID?

    /// How long a command waits that nothing holds up.
    private static let patience: Duration = .seconds(60)
    /// How long one waits for a person where no policy says so.
    private static let decisionTime: Duration = .seconds(900)

    package init(
        target: String, action: Command.Action, value: String? = nil, unit: String? = nil, lease: Duration? = nil,
        expected: String? = nil, tolerance: Double = 0, mode: Command.Mode = .write, reason: String? = nil,
        note: String? = nil, subject: CommandID? = nil
    ) {
        self.target = target
        self.action = action
        self.value = value
        self.unit = unit
        self.lease = lease
        self.expected = expected
        self.tolerance = tolerance
        self.mode = mode
        self.reason = reason
        self.note = note
        self.subject = subject
    }

    /// - Parameter name: who asks; must be a person that the site file names.
    /// - Throws: ``DeskProblem/refused(code:message:)`` with what is allowed.
    package func command(
        id: CommandID, site: Site, as name: String, at now: UnixTime
    ) throws(DeskProblem) -> Command {
        let point = try point(site)
        let issuer = try Self.person(name, site)
        var command = Command(
            id: id, gateway: site.gateway.id, point: target, action: action, mode: mode, issued: now,
            expires: now + expiry(site.commands),
            origin: Command.Origin(category: issuer.category, actor: name))
        if action == .set {
            command.value = try Self.value(value ?? "", of: point, target)
            command.unit = unit ?? point.unit
        }
        command.lease = lease.map { Command.Lease(duration: $0) }
        if let expected {
            command.expect = Command.Expectation(
                value: try Self.value(expected, of: point, target), tolerance: tolerance)
        }
        command.subject = subject
        command.rationale = rationale
        return command
    }

    private var rationale: Command.Rationale? {
        guard let reason else { return note.map { Command.Rationale(text: $0) } }
        guard let known = HumanReason(rawValue: reason) else {
            return Command.Rationale(text: [reason, note].compactMap { $0 }.joined(separator: "; "))
        }
        return Command.Rationale(text: note, reason: known)
    }

    // MARK: - From the site file

    private func point(_ site: Site) throws(DeskProblem) -> Point {
        let devices = site.devices.filter { target.hasPrefix($0.id + "/") }
        for device in devices {
            if let point = device.points.first(where: { "\(device.id)/\($0.name)" == target }) { return point }
        }
        let writable = (devices.isEmpty ? site.devices : devices).flatMap { device in
            device.points.filter { $0.write != nil }.map { "\(device.id)/\($0.name)" }
        }
        let known = writable.isEmpty ? "none can be written here" : "writable: \(writable.joined(separator: ", "))"
        throw .refused(.unknownPoint, "no point '\(target)'; \(known)")
    }

    private static func person(_ name: String, _ site: Site) throws(DeskProblem) -> Issuer {
        let persons = site.commands.issuers.filter(\.category.isPerson)
        if let issuer = persons.first(where: { $0.name == name }) { return issuer }
        let known = persons.map(\.name).joined(separator: ", ")
        throw .refused(
            .notAuthorised,
            persons.isEmpty
                ? "the site file names no person (commands.issuers with category local or operator)"
                : "'\(name)' is no person that the site file names; give --as with one of: \(known)")
    }

    /// As long as a person may take where one is asked; else not longer than somebody at a shell waits, so that nothing is
    /// written that was given up.
    private func expiry(_ settings: CommandSettings) -> Duration {
        let policy = settings.policies.first { $0.points.contains { PointPattern.matches($0, target) } }
        let isAsked = mode == .advise || policy?.approval != nil
        let decisionTime = isAsked ? policy?.approval?.within ?? Self.decisionTime : .zero
        return min(decisionTime + Self.patience, settings.longestExpiry)
    }

    private static func value(_ text: String, of point: Point, _ id: String) throws(DeskProblem) -> PointValue {
        do throws(Point.NoValue) {
            return try point.value(writtenAs: text)
        } catch {
            throw .refused(.badFormat, "\(id): \(error.reason)")
        }
    }
}
