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
                switch check {
                case .deviceID(let vendor, let product):
                    fits = Self.contains(description.vendor, vendor) && Self.contains(description.product, product)
                case .register(let point, let expected):
                    if known[point.span] == nil { known[point.span] = .some(await read(point.span)) }
                    fits = (known[point.span] ?? nil).map { Self.holds(point, expected, $0) } ?? false
                }
            }
            if fits { ids.append(profile.id) }
        }
        return ids
    }

    static func holds(_ point: Point, _ expected: PointValue, _ words: [UInt16]) -> Bool {
        guard words.count == point.encoding.registerCount, case .value(let value) = point.encoding.decode(words.span)
        else { return false }
        if case .string(let text) = expected, case .string(let read) = value { return text == read }
        guard let number = expected.number, let read = value.number else { return false }
        return number == read
    }

    private static func contains(_ said: String?, _ wanted: String?) -> Bool {
        guard let wanted else { return true }
        return said?.lowercased().contains(wanted.lowercased()) ?? false
    }
}
