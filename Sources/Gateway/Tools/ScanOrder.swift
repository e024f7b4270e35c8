package import Model

/// What a scan through the running gateway is to do.
package struct ScanOrder: Hashable, Sendable {
    package var units: [UInt8]
    /// Baud rates and formats to try; nil for none but those of the polls, or for all where polls rest.
    package var bauds: [Int]?
    package var formats: [SerialFormat]?
    package var timeout: Duration
    /// Whether the polls of the line rest meanwhile.
    package var pausesPolling: Bool

    package init(units: [UInt8], bauds: [Int]?, formats: [SerialFormat]?, timeout: Duration, pausesPolling: Bool) {
        self.units = units
        self.bauds = bauds
        self.formats = formats
        self.timeout = timeout
        self.pausesPolling = pausesPolling
    }

    /// Why it cannot be done on `connection` while that is polled, in words; nil where it can.
    package func obstacle(on connection: Connection) -> String? {
        guard case .serial(let line) = connection.channel else {
            return pausesPolling ? "\(connection.name) is no serial line: it can be scanned while it is polled" : nil
        }
        let isOther = bauds.map { $0 != [line.baud] } ?? false || formats.map { $0 != [line.format] } ?? false
        guard isOther, !pausesPolling else { return nil }
        return
            "the running gateway polls \(connection.name) at \(line.baud) \(line.format.name), and other settings would "
            + "stop that: give --pause-polling to have the polls of this line rest meanwhile, or leave out --baud and --format"
    }

    /// What is asked where. Without a pause the line keeps its settings.
    func plan(on connection: Connection, profiles: [DeviceProfile]) -> ScanPlan {
        guard case .serial(let line) = connection.channel, !pausesPolling else {
            return ScanPlan(
                connection, units: units, bauds: bauds, formats: formats, known: profiles.compactMap(\.factorySerial))
        }
        return ScanPlan(connection, units: units, bauds: [line.baud], formats: [line.format])
    }

    var members: [(String, JSONValue)] {
        [
            ("units", .array(units.map { .integer($0) })), ("timeout_ms", .integer(timeout.microseconds / 1000)),
            ("baud", bauds.map { .array($0.map { .integer($0) }) } ?? .null),
            ("format", formats.map { .array($0.map { .string($0.name) }) } ?? .null),
            ("pause", pausesPolling ? .bool(true) : .null),
        ]
    }

    init?(_ document: JSONValue) {
        units = document["units"]?.elements.compactMap { $0.integer.flatMap { UInt8(exactly: $0) } } ?? []
        let milliseconds = document["timeout_ms"]?.integer ?? 100
        guard !units.isEmpty, (1...60_000).contains(milliseconds) else { return nil }
        timeout = .milliseconds(milliseconds)
        bauds = document["baud"]?.elements.compactMap { $0.integer.flatMap { Int(exactly: $0) } }
        formats = document["format"]?.elements.compactMap { $0.text.flatMap(SerialFormat.init(name:)) }
        pausesPolling = document["pause"]?.isTrue ?? false
    }
}
