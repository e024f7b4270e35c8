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

    /// How long a unit may take to answer.
    package static let timeoutMilliseconds: ClosedRange<Int64> = 1...60_000

    /// Every element of a list of 1 to 256, nil where one of them is not what it has to be.
    private static func list<Element>(_ document: JSONValue, _ read: (JSONValue) -> Element?) -> [Element]? {
        let elements = document.elements
        let known = elements.compactMap(read)
        return (1...256).contains(elements.count) && known.count == elements.count ? known : nil
    }

    /// Nil for a document in which something is missing or out of its range.
    init?(_ document: JSONValue) {
        guard
            let units = Self.list(document["units"] ?? .null, { $0.integer(in: 0...UInt8.max) }), !units.isEmpty,
            let milliseconds = (document["timeout_ms"] ?? .integer(100)).integer(in: Self.timeoutMilliseconds)
        else { return nil }
        self.units = units
        timeout = .milliseconds(milliseconds)
        if let list = document["baud"] {
            guard let rates = Self.list(list, { $0.integer(in: SerialLine.baudRange) }) else { return nil }
            bauds = rates
        }
        if let list = document["format"] {
            guard let names = Self.list(list, { $0.text.flatMap(SerialFormat.init(name:)) }) else { return nil }
            formats = names
        }
        pausesPolling = document["pause"]?.isTrue ?? false
    }
}
