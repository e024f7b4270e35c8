package import Model

extension SunSpecChain: DeviceFinding {
    package static var fileName: String { "sunspec.json" }
    package static var schema: String { "sunspec/1" }
    package static var loss: String { "devices are asked anew which models they hold" }
    package var isEmpty: Bool { entries.isEmpty }

    /// `base`, `end` and `models`: `[{"id","address","length"}]`.
    package var members: [(String, JSONValue)] {
        let models = entries.map { entry in
            JSONValue.compact([
                ("id", .integer(entry.id)), ("address", .integer(entry.start)), ("length", .integer(entry.length)),
            ])
        }
        return [
            ("base", .integer(base)), ("end", end.map { .integer($0) } ?? .null), ("models", .array(models)),
        ]
    }

    package init?(entry document: JSONValue) {
        func word(_ value: JSONValue?) -> UInt16? { value?.integer(in: 0...UInt16.max) }
        guard let base = word(document["base"]), let models = document["models"]?.elements, !models.isEmpty else {
            return nil
        }
        let entries = models.compactMap { model -> Entry? in
            guard let id = word(model["id"]), let start = word(model["address"]), let length = word(model["length"])
            else { return nil }
            return Entry(id: id, start: start, length: Int(length))
        }
        guard entries.count == models.count else { return nil }
        self.init(base: base, entries: entries, end: word(document["end"]))
    }

    /// `1, 103, 160 (2 times) from 40000`, and that the end mark is missing where it is: more models may follow.
    var words: String {
        var counts: [(id: UInt16, count: Int)] = []
        for entry in entries {
            if let index = counts.firstIndex(where: { $0.id == entry.id }) {
                counts[index].count += 1
            } else {
                counts.append((entry.id, 1))
            }
        }
        let list = counts.map { $0.count == 1 ? "\($0.id)" : "\($0.id) (\($0.count) times)" }
        let mark = end == nil ? ", without an end mark: what follows is not known" : ""
        return "\(list.joined(separator: ", ")) from \(base)\(mark)"
    }
}

extension DeviceMemory<SunSpecChain> {
    /// The site with every device that was found to hold something, and without the assumed points of the others.
    func applied(to declared: Site) -> Site {
        var site = declared
        for index in site.devices.indices where site.devices[index].sunSpec != nil {
            let device = site.devices[index]
            let connection = site.connections.first { $0.name == device.connection }
            let held = connection.flatMap { self[DeviceIdentity(device, on: $0)] }
            site.devices[index] = held.map { device.holding($0) } ?? device.undiscovered
        }
        return site
    }
}
