package import Model

/// One reading of an ad-hoc read, as people see it: `point`, value with its label, unit, quality, separated by tabs.
package struct ReadLine: Sendable {
    package let text: String

    /// - Parameter reading: of a ``ReadDocument``.
    package init(_ reading: JSONValue) {
        let value = reading["value"]?.shown ?? "null"
        let label = reading["label"].map { " (\($0.shown))" } ?? ""
        let reasons = (reading["reasons"]?.elements ?? []).map(\.shown).joined(separator: ", ")
        let quality = reading.shown("quality") + (reasons.isEmpty ? "" : " (\(reasons))")
        text = [reading.shown("point"), value + label, reading.shown("unit"), quality].joined(separator: "\t")
    }
}
