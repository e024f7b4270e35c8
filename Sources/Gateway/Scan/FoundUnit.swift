import ModbusBus
package import Model

/// A unit that answered a scan.
package struct FoundUnit: Hashable, Sendable {
    package var unit: UInt8
    /// The device of the site file that it is, where it is one.
    package var device: String?
    /// The exception it gave to the first question, nil when it gave a register.
    package var exception: UInt8?
    package var vendor: String?
    package var product: String?
    package var revision: String?
    package var serverID: String?
    /// Ids of the profiles whose `identify` all holds.
    package var profiles: [String]

    init(unit: UInt8, exception: UInt8?, description: DeviceDescription, profiles: [String]) {
        self.unit = unit
        self.exception = exception
        vendor = description.vendor
        product = description.product
        revision = description.revision
        serverID = description.serverID
        self.profiles = profiles
    }

    fileprivate var document: JSONValue {
        .compact([
            ("unit", .integer(unit)), ("device", .optional(device)),
            ("exception", exception.map { .integer($0) } ?? .null),
            ("vendor", .optional(vendor)), ("product", .optional(product)), ("revision", .optional(revision)),
            ("server_id", .optional(serverID)), ("profiles", .array(profiles.map { .string($0) })),
        ])
    }

    fileprivate var row: [String] {
        let identity = [vendor, product, revision].compactMap(\.self).joined(separator: " ")
        return [
            "\(unit)", exception.map { "exception \($0)" } ?? "registers", identity.isEmpty ? serverID ?? "" : identity,
            profiles.isEmpty ? "no profile identifies it" : profiles.joined(separator: ", "), device ?? "",
        ]
    }
}

/// What a scan found.
package struct ScanReport: Hashable, Sendable {
    package var endpoint: String
    /// Settings at which units answered; nil on TCP, and where none answered.
    package var line: SerialLine?
    package var units: [FoundUnit] = []
    package var requests = 0
    /// Profiles that were looked at and say nothing about how their device is recognised.
    package var unrecognisableProfiles = 0
    /// Why it ended early, in words: the port or the connection is not to be had.
    package var failure: String?

    /// `{"endpoint","baud","format","units":[{"unit","device","exception","vendor","product","revision","server_id","profiles"}],
    /// "requests","failure"}`
    package var json: [UInt8] {
        JSONValue.compact([
            ("endpoint", .string(endpoint)), ("baud", line.map { .integer($0.baud) } ?? .null),
            ("format", .optional(line?.format.name)), ("units", .array(units.map(\.document))),
            ("requests", .integer(requests)), ("failure", .optional(failure)),
        ]).bytes
    }

    package var text: String {
        guard !units.isEmpty else {
            guard failure == nil else { return "no unit was found on \(endpoint): the scan did not come to its end" }
            return "no unit answered on \(endpoint) to \(requests) \(requests == 1 ? "request" : "requests")"
        }
        let isConfigured = units.contains { $0.device != nil }
        var table = TextTable(["UNIT", "ANSWERS WITH", "SAYS IT IS", "PROFILES"] + (isConfigured ? ["DEVICE"] : []))
        let unnamed =
            units.contains { $0.profiles.isEmpty } && unrecognisableProfiles > 0
            ? [
                "\(unrecognisableProfiles) profiles have nothing by which their device could be recognised: compare the "
                    + "nameplate with headgate profile list"
            ] : []
        for unit in units { table.add(isConfigured ? unit.row : unit.row.dropLast()) }
        let settings = line.map { " at \($0.baud) \($0.format.name)" } ?? ""
        let head = "\(endpoint)\(settings): \(units.count) \(units.count == 1 ? "unit" : "units")"
        let answersAll = line == nil && units.count > 30
        let note = answersAll ? ["it answers under so many units that it probably ignores the unit address"] : []
        return ([head] + table.lines + note + unnamed).joined(separator: "\n")
    }
}
