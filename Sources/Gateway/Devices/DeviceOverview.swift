import Console
package import Model

/// Which assets are connected and how they are, as the running gateway tells it.
package struct DeviceOverview: Sendable {
    private let document: JSONValue

    /// - Parameter document: see ``DevicesDocument/value``.
    package init(document: JSONValue) {
        self.document = document
    }

    /// Asks the gateway that runs on a state folder.
    package static func ask(stateFolder: String) throws(DeskProblem) -> DeviceOverview {
        DeviceOverview(
            document: try ControlClient.document(of: "devices", with: "devices", stateFolder: stateFolder))
    }

    package var json: [UInt8] { document.bytes }

    private var devices: [JSONValue] { document["devices"]?.elements ?? [] }

    /// A table, and below it what is wrong with whom.
    package var text: String {
        guard !devices.isEmpty else { return "the site file has no devices" }
        var table = TextTable([
            "DEVICE", "STATE", "SINCE", "LAST GOOD", "FAILED", "LAST 64", "MISSED", "PROFILE", "CONNECTION",
        ])
        for device in devices { table.add(row(device)) }
        let troubles =
            devices.compactMap(stranger) + devices.compactMap(models) + devices.compactMap(trouble)
            + devices.compactMap(fault) + devices.compactMap(refusal)
        return (table.lines + (troubles.isEmpty ? [] : [""] + troubles)).joined(separator: "\n")
    }

    private func row(_ device: JSONValue) -> [String] {
        let age = device["last_good_age_s"]?.double.map { Self.age(seconds: $0) } ?? "never"
        return [
            device.text("id"), device.text("identity") == "wrong" ? "wrong device" : device.text("state"),
            device.text("since"), age,
            Self.share(device.number("failed_polls"), of: device.number("polls")),
            Self.share(device.number("recently_failed"), of: device.number("recent_polls")),
            "\(device.number("missed_polls"))", "\(device.text("profile"))@\(device.number("revision"))",
            "\(device.text("connection")) unit \(device.number("unit"))",
        ]
    }

    private func trouble(_ device: JSONValue) -> String? {
        guard let words = device["trouble_text"]?.text else { return nil }
        return TextTable.safe("\(device.text("id")): \(words) (\(device.text("trouble")))")
    }

    private func fault(_ device: JSONValue) -> String? {
        guard let words = device["last_fault"]?.text else { return nil }
        let age = device["last_fault_age_s"]?.double.map { Self.age(seconds: $0) + " ago" } ?? ""
        return TextTable.safe("\(device.text("id")): last fault \(age): \(words)")
    }

    private func stranger(_ device: JSONValue) -> String? {
        switch device["identity"]?.text {
        case "wrong":
            TextTable.safe(
                "\(device.text("id")): another device answers: \(device.text("identity_expected")) expected, "
                    + "\(device.text("identity_found")) found; nothing is written to it")
        case "unverified":
            TextTable.safe(
                "\(device.text("id")): cannot be identified: \(device.text("identity_text")); nothing is written to it")
        default: nil
        }
    }

    private func models(_ device: JSONValue) -> String? {
        let words = device["discovery_text"]?.text ?? ""
        switch device["discovery"]?.text {
        case "failed": return TextTable.safe("\(device.text("id")): its models are not known: \(words)")
        case "pending": return TextTable.safe("\(device.text("id")): has not been asked yet which models it holds")
        case "found":
            let missing = (device["missing_models"]?.elements ?? []).compactMap { $0.integer(in: 0...UInt16.max) }.map {
                "\($0)"
            }
            let less = missing.isEmpty ? "" : "; the profile also wants \(missing.joined(separator: ", "))"
            return TextTable.safe("\(device.text("id")): \(words)\(less)")
        default: return nil
        }
    }

    private func refusal(_ device: JSONValue) -> String? {
        let spans = RefusalAdvice.refused(device)
        let list = spans.map { "\($0.span) (\($0.points.joined(separator: ", ")))" }.joined(separator: "; ")
        let limits = RefusalAdvice.limits(device).map { "\($0.name): \($0.value)" }.joined(separator: ", ")
        let cuts = RefusalAdvice.cuts(device).joined(separator: ", ")
        let words =
            (spans.isEmpty ? [] : ["refuses \(list)"]) + (limits.isEmpty ? [] : ["has limits {\(limits)}"])
            + (cuts.isEmpty ? [] : ["refuses larger requests around \(cuts)"])
        return words.isEmpty ? nil : TextTable.safe("\(device.text("id")): \(words.joined(separator: "; "))")
    }

    /// What to change in each profile so that it no longer asks for what is refused, as YAML to paste.
    package var refusedText: String {
        RefusalAdvice(devices: devices).text
    }

    /// `0.4 s`, `90 s`, `12 min`, `5 h`, `3 d`
    static func age(seconds: Double) -> String {
        switch seconds {
        case ..<10: "\((seconds * 10).rounded() / 10) s"
        case ..<120: "\(Int(clamping: seconds)) s"
        case ..<7200: "\(Int(clamping: seconds / 60)) min"
        case ..<172_800: "\(Int(clamping: seconds / 3600)) h"
        default: "\(Int(clamping: seconds / 86_400)) d"
        }
    }

    /// `2.5 %`; `–` before the first poll. What is not zero is not shown as zero.
    static func share(_ part: Int64, of whole: Int64) -> String {
        guard whole > 0 else { return "–" }
        let percent = Double(part) * 100 / Double(whole)
        if part > 0, percent < 0.1 { return "<0.1 %" }
        return "\((percent * 10).rounded() / 10) %"
    }
}

extension JSONValue {
    func text(_ key: String) -> String { self[key]?.text ?? "" }
    func number(_ key: String) -> Int64 { self[key]?.integer(in: 0...Int64.max) ?? 0 }
}
