package import Model

/// Where a scan looks, and in which order: what is likely comes first, and everything is bounded.
package struct ScanPlan: Hashable, Sendable {
    /// Settings of a serial line, best guess first; one nil where there is no line.
    package var lines: [SerialLine?]
    /// Ascending.
    package var units: [UInt8]
    /// Units that are asked first at each setting: one answer settles baud and parity for all.
    package var likelyUnits: [UInt8]

    /// - Parameters:
    ///   - bauds, formats: what to try; nil for all that are usual.
    ///   - known: settings and units of devices that may be there: of the site file and factory settings of profiles.
    package init(
        _ connection: Connection, units: [UInt8], bauds: [Int]?, formats: [SerialFormat]?,
        known: [FactorySerialSettings] = []
    ) {
        self.units = units.sorted()
        let likely = Set([1, 2, 3, 10, 247] + known.map(\.unit)).intersection(units)
        likelyUnits = likely.isEmpty ? Array(self.units.prefix(3)) : likely.sorted()
        guard case .serial(let line) = connection.channel else {
            lines = [nil]
            return
        }
        let allBauds = bauds ?? Self.bauds
        let allFormats = formats ?? Self.formats
        var settings: [SerialLine] = []
        func add(_ baud: Int, _ format: SerialFormat) {
            let candidate = SerialLine(path: line.path, baud: baud, format: format, rs485: line.rs485)
            guard allBauds.contains(baud), allFormats.contains(format), !settings.contains(candidate) else { return }
            settings.append(candidate)
        }
        add(line.baud, line.format)
        let votes = Dictionary(grouping: known) { "\($0.baud) \($0.format.name)" }
        for group in votes.values.sorted(by: { ($1.count, $0[0].baud) < ($0.count, $1[0].baud) }) {
            add(group[0].baud, group[0].format)
        }
        for baud in allBauds { for format in allFormats { add(baud, format) } }
        lines = settings
    }

    /// Most used first.
    private static let bauds = [9600, 19_200, 38_400, 115_200, 57_600, 4800, 2400, 1200]
    /// A receiver takes one stop bit for two, so 8N2 is found as 8N1.
    private static let formats = ["8N1", "8E1", "8O1"].compactMap(SerialFormat.init(name:))

    /// Questions whether somebody is there, at the most: until the line's settings are known, and then.
    package var limit: Int {
        lines.count > 1 ? lines.count * (likelyUnits.count + units.count) : units.count
    }
}
