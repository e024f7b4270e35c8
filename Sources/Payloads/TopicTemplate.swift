package import Model

/// A topic with `{gateway}`, `{device}` and `{labels.key}` in it (site key `topic`).
package struct TopicTemplate: Hashable, Sendable {
    private enum Part: Hashable {
        case text(String)
        case gateway
        case device
        case label(String)
    }

    /// Why a template cannot be used, in words.
    package struct Problem: Error, Hashable, CustomStringConvertible {
        package var description: String
    }

    private var parts: [Part] = []

    package init(_ template: String) throws(Problem) {
        guard !template.isEmpty, !template.contains(where: { "+#\0".contains($0) }) else {
            throw Problem(description: "a topic to publish to is not empty and has no '+', '#' or NUL")
        }
        var rest = template[...]
        while let open = rest.firstIndex(of: "{") {
            guard let close = rest[open...].firstIndex(of: "}") else {
                throw Problem(description: "'{' without '}' in '\(template)'")
            }
            parts.append(.text(String(rest[..<open])))
            parts.append(try Self.placeholder(String(rest[rest.index(after: open)..<close])))
            rest = rest[rest.index(after: close)...]
        }
        parts.append(.text(String(rest)))
    }

    private static func placeholder(_ name: String) throws(Problem) -> Part {
        switch name {
        case "gateway": return .gateway
        case "device": return .device
        default:
            guard name.hasPrefix("labels."), name.count > 7 else {
                throw Problem(description: "unknown placeholder {\(name)}; allowed: {gateway}, {device}, {labels.key}")
            }
            return .label(String(name.dropFirst(7)))
        }
    }

    /// Label keys that the template needs.
    package var labels: [String] {
        parts.compactMap { if case .label(let key) = $0 { key } else { nil } }
    }

    /// The topic of a device. A label that the device does not have becomes `_`, characters that a topic must not have too.
    package func topic(gateway: String, device: String, labels: [Label]) -> String {
        parts.map { part in
            switch part {
            case .text(let text): text
            case .gateway: gateway
            case .device: device
            case .label(let key): Self.level(labels.first { $0.key == key }?.value ?? "_")
            }
        }.joined()
    }

    private static func level(_ value: String) -> String {
        String(value.map { "+#\0".contains($0) ? "_" : $0 })
    }
}
