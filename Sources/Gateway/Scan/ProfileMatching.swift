import Engine
import ModbusBus
import Model

/// Finds the profiles that a unit fits by their `identify` checks. Each register is asked for once.
struct ProfileMatching {
    let profiles: [DeviceProfile]

    /// - Parameter read: gives the words of a span, nil where the unit refuses or does not answer.
    func matches(
        _ description: DeviceDescription, read: (RegisterSpan) async -> [UInt16]?
    ) async -> [String] {
        var known: [RegisterSpan: [UInt16]?] = [:]
        var ids: [String] = []
        for profile in profiles where !profile.identity.isEmpty {
            var fits = true
            for check in profile.identity where fits {
                guard let span = check.span else {
                    fits = check.verdict(objects: description.objects) == .holds
                    continue
                }
                if known[span] == nil { known[span] = .some(await read(span)) }
                fits = (known[span] ?? nil).map { check.verdict(words: $0) == .holds } ?? false
            }
            if fits { ids.append(profile.id) }
        }
        return ids
    }
}
