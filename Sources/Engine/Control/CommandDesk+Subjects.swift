import Model

/// Actions that name the one command they are about.
extension CommandDesk {
    /// Why the command that a `renew` or `cancel` names cannot be renewed or called off, in words; nil where it can, and for
    /// what names none.
    func obstacle(_ id: CommandID) -> String? {
        guard let command = commands[id], let subject = command.command.subject else { return nil }
        let other = commands[subject].flatMap { $0.point == command.point ? $0 : nil }
        switch command.command.action {
        case .renew:
            let isHeld =
                other.map { [.verified, .preempted].contains($0.state) && $0.issuer == command.issuer } ?? false
            return isHeld ? nil : "\(command.issuer) does not hold the point by \(subject)"
        case .cancel:
            let isWaiting = other.map { [.held, .approved].contains($0.state) } ?? false
            guard isWaiting else { return "\(subject) does not wait for anything any more" }
            let mayCancel = isPersons(id) || other?.issuer == command.issuer
            return mayCancel ? nil : "\(subject) is somebody else's"
        case .set, .release: return nil
        }
    }
}
