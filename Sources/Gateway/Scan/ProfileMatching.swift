import Engine
import ModbusBus
import Model

/// Finds the profiles that a unit fits by their `identify` checks, and by the SunSpec models that it holds. Each register is
/// asked for once.
struct ProfileMatching {
    let profiles: [DeviceProfile]

    /// - Parameter read: gives the words of a span, nil where the unit refuses or does not answer.
    func matches(
        _ description: DeviceDescription, read: (RegisterSpan) async -> [UInt16]?
    ) async -> [String] {
        var known: [RegisterSpan: [UInt16]?] = [:]
        func words(_ span: RegisterSpan) async -> [UInt16]? {
            if known[span] == nil { known[span] = .some(await read(span)) }
            return known[span] ?? nil
        }
        var ids: [String] = []
        for profile in profiles where !profile.identity.isEmpty || profile.sunSpec != nil {
            var fits = true
            for check in profile.identity where fits {
                if let span = check.span {
                    fits = await words(span).map { check.verdict(words: $0) == .holds } ?? false
                } else {
                    fits = check.verdict(objects: description.objects) == .holds
                }
            }
            if fits, let sunSpec = profile.sunSpec { fits = await holds(sunSpec, words) }
            if fits { ids.append(profile.id) }
        }
        return ids
    }

    /// Whether the unit holds models that the profile wants, besides the one that says what it is, which all have.
    private func holds(
        _ selection: SunSpecSelection, _ words: (RegisterSpan) async -> [UInt16]?
    ) async -> Bool {
        var walk = SunSpecWalk()
        while case .read(let span) = walk.step { walk.received(await words(span).map { .words($0) } ?? .refused) }
        guard case .found(let chain) = walk.step else { return false }
        return chain.entries.contains { $0.id != 1 && selection.wanted.contains($0.id) }
    }
}
