package import Model

/// Feeding watchdogs.
extension Poller {
    /// Writes a sign of life, ahead of all polls, and does not read it back: many devices clear or keep such a register for
    /// themselves, and a beat that is lost is followed by another.
    ///
    /// - Returns: why it was not taken, in words; nil when the device acknowledged it.
    package func beat(_ device: String, point name: String, value: PointValue) async -> String? {
        guard let index = devices.firstIndex(where: { $0.device.id == device }) else {
            return "no device '\(device)' on this connection"
        }
        let known = devices[index].device
        guard let point = known.points.first(where: { $0.name == name }),
            let plan = SetpointPlan(point, of: known.points)
        else { return "\(name) cannot be written" }
        if let objection = plan.objection(to: value) { return objection }
        if let reason = reasonNotToAsk(index) { return reason }
        guard slots.urgentCount < Self.writeLimit else { return "too many commands wait for \(connection.name)" }
        let request: RegisterWrite
        do throws(SetpointPlan.Unencodable) {
            request = plan.request(for: try plan.encode(value, scale: nil).words)
        } catch {
            return error.reason
        }
        let failure = await transaction(index) { await self.send(request, to: index) }
        guard let failure else { return "polling of \(connection.name) was stopped" }
        return failure?.reason
    }
}

extension WriteFailure {
    fileprivate var reason: String {
        switch self {
        case .refused(let code): ExceptionMeaning.noted(code)
        case .notSent(let words), .indeterminate(let words): words
        }
    }
}
