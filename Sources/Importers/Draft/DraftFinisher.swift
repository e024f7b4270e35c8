import Model

/// Makes a draft into what can be written: names, ids, and nothing that the profile's own rules would refuse.
struct DraftFinisher {
    let options: ImportOptions
    let reporter: Reporter
    let source: String

    func finish(_ draft: Draft) -> Draft {
        var draft = draft
        for index in draft.profiles.indices {
            var points = draft.profiles[index].points.filter(isPossible)
            if points.count > Importing.pointLimit {
                reporter.leftOut(
                    points[Importing.pointLimit].node,
                    "more than \(Importing.pointLimit) points; this one and those behind it are left out")
                points.removeSubrange(Importing.pointLimit...)
            }
            points = name(withoutOverlaps(points).map(withPossibleBounds))
            resolve(&points)
            draft.profiles[index].points = points
        }
        dropEmpty(&draft)
        dropSecondEndpoints(&draft)
        share(&draft)
        nameProfiles(&draft)
        nameSite(&draft)
        return draft
    }

    // MARK: - Points

    private func isPossible(_ point: DraftPoint) -> Bool {
        let wrong: String? =
            if point.protocolAddress < 0 || point.addresses.upperBound > 65_536 {
                "its addresses \(point.protocolAddress)…\(point.addresses.upperBound - 1) are outside 0 to 65535"
            } else if let count = point.count, !(1...125).contains(count) {
                "it takes \(count) registers, and one request reads 125"
            } else if point.scale.mantissa == 0 {
                "its scale is 0"
            } else if let bits = point.bits, bits.lowerBound < 0 || bits.upperBound >= point.registerCount * 16 {
                "bit \(bits.upperBound) is outside its \(point.registerCount * 16) bits"
            } else {
                nil
            }
        if let wrong { reporter.leftOut(point.node, "'\(point.title)': \(wrong); the point is left out") }
        return wrong == nil
    }

    /// Registers that two points share must be read alike by both; of two that differ the first one stays.
    private func withoutOverlaps(_ points: [DraftPoint]) -> [DraftPoint] {
        var kept: [DraftPoint] = []
        var owners: [RegisterTable: [Int: [Int]]] = [:]
        for point in points {
            let others = Set(point.addresses.flatMap { owners[point.table]?[$0] ?? [] })
            if let twin = others.sorted().first(where: { Self.same(kept[$0], point) }) {
                if let write = point.write, kept[twin].write == nil { kept[twin].write = write }
                reporter.ignored(
                    point.title, in: point.node, because: "the same value as '\(kept[twin].title)', taken once")
                continue
            }
            if let other = others.sorted().first(where: { !Self.agree(kept[$0], point) }) {
                let first = kept[other]
                reporter.leftOut(
                    point.node,
                    "'\(point.title)' (\(point.type) at \(point.table) \(point.protocolAddress)) overlaps '\(first.title)' (\(first.type) at \(first.protocolAddress)); the point is left out"
                )
                continue
            }
            for address in point.addresses {
                owners[point.table, default: [:]][address, default: []].append(kept.count)
            }
            kept.append(point)
        }
        return kept
    }

    private static func same(_ left: DraftPoint, _ right: DraftPoint) -> Bool {
        left.addresses == right.addresses && left.type == right.type && left.bits == right.bits
            && left.orderName == right.orderName && left.scale == right.scale && left.offset == right.offset
            && left.title == right.title
    }

    private static func agree(_ left: DraftPoint, _ right: DraftPoint) -> Bool {
        guard left.addresses == right.addresses else { return false }
        let areHalves = [left, right].allSatisfy { $0.type == .int8 || $0.type == .uint8 }
        return left.type == right.type || left.bits != nil || right.bits != nil || areHalves
    }

    private func name(_ points: [DraftPoint]) -> [DraftPoint] {
        var taken: Set<String> = []
        return points.map { point in
            var point = point
            let own = Identifiers.point(point.title)
            let wanted = own ?? "\(point.table)_\(point.protocolAddress)"
            point.name = Identifiers.unique(wanted) { taken.contains($0) }
            taken.insert(point.name)
            if own == nil {
                reporter.assumed(point.node, "'\(point.title)' has no letters for a name; the point is '\(point.name)'")
            } else if point.name != wanted {
                reporter.assumed(
                    point.node, "'\(point.title)': the name '\(wanted)' is taken; the point is '\(point.name)'")
            }
            let codes = point.enumeration.map(\.code)
            point.enumeration = point.enumeration.enumerated().filter { index, label in
                codes.firstIndex(of: label.code) == index && !label.label.isEmpty
            }.map(\.element)
            point.every = point.every.map { min(max($0, .milliseconds(10)), .seconds(86_400)) }
            if point.summary == nil, !Identifiers.keeps(point.title, as: point.name) { point.summary = point.title }
            return point
        }
    }

    /// References by key become references by name; one to a point that is not there goes, with a remark.
    private func resolve(_ points: inout [DraftPoint]) {
        let names = Dictionary(points.compactMap { point in point.key.map { ($0, point.name) } }) { first, _ in first }
        for index in points.indices.reversed() {
            if let key = points[index].write?.readbackKey { points[index].write?.readback = names[key] }
            guard let key = points[index].scaleKey else { continue }
            if let name = names[key] {
                points[index].scaleKey = name
            } else {
                reporter.leftOut(
                    points[index].node,
                    "'\(points[index].title)' is scaled by '\(key)', which is not among the points; the point is left out"
                )
                points.remove(at: index)
            }
        }
    }

    // MARK: - Profiles and devices

    private func dropEmpty(_ draft: inout Draft) {
        for index in draft.profiles.indices where draft.profiles[index].points.isEmpty {
            for device in draft.devices where device.profile == index {
                reporter.leftOut(
                    device.node, "'\(device.title)' has no point that could be imported; the device is left out")
            }
            draft.devices.removeAll { $0.profile == index }
        }
        let kept = draft.profiles.indices.filter { !draft.profiles[$0].points.isEmpty }
        for index in draft.devices.indices {
            draft.devices[index].profile = kept.firstIndex(of: draft.devices[index].profile) ?? 0
        }
        draft.profiles = kept.map { draft.profiles[$0] }
    }

    /// One endpoint is spoken to in one way: of two the first one stays.
    private func dropSecondEndpoints(_ draft: inout Draft) {
        var first: [String: Int] = [:]
        for (index, connection) in draft.connections.enumerated() {
            guard let other = first[connection.channel.endpoint] else {
                first[connection.channel.endpoint] = index
                continue
            }
            for device in draft.devices where device.connection == index {
                reporter.leftOut(
                    device.node,
                    "'\(device.title)' speaks to \(connection.channel.endpoint) in another way than '\(draft.connections[other].title)' does; the device is left out"
                )
            }
            draft.devices.removeAll { $0.connection == index }
        }
    }

    /// Devices with the same points share one profile.
    private func share(_ draft: inout Draft) {
        var texts: [String: Int] = [:]
        var kept: [Int] = []
        var target: [Int] = []
        for (index, profile) in draft.profiles.enumerated() {
            let text = ProfileWriter(profile: profile, source: source).points.joined(separator: "\n")
            if let other = texts[text] {
                target.append(other)
            } else {
                texts[text] = kept.count
                target.append(kept.count)
                kept.append(index)
            }
        }
        for index in draft.devices.indices { draft.devices[index].profile = target[draft.devices[index].profile] }
        draft.profiles = kept.map { draft.profiles[$0] }
    }

    private func nameProfiles(_ draft: inout Draft) {
        var taken: Set<String> = []
        for index in draft.profiles.indices {
            let profile = draft.profiles[index]
            let model = Identifiers.part(profile.model ?? profile.title) ?? "device"
            var id = "\(profile.manufacturer.flatMap(Identifiers.part) ?? "imported")/\(model)"
            if let name = options.name {
                id = draft.profiles.count == 1 ? name : "\(name)-\(Identifiers.part(profile.title) ?? model)"
            }
            id = Identifiers.unique(id, separator: "-") { taken.contains($0) }
            taken.insert(id)
            draft.profiles[index].id = id
        }
    }

    private func nameSite(_ draft: inout Draft) {
        let used = Set(draft.devices.map(\.connection))
        var names: Set<String> = []
        for index in draft.connections.indices {
            let name = Identifiers.unique(Identifiers.part(draft.connections[index].title) ?? "bus", separator: "-") {
                names.contains($0)
            }
            names.insert(name)
            draft.connections[index].name = name
            if !used.contains(index) {
                reporter.ignored(
                    draft.connections[index].title, in: draft.connections[index].node,
                    because: "a connection without a device that could be imported")
            }
        }
        names = []
        for index in draft.devices.indices {
            let name = Identifiers.unique(Identifiers.point(draft.devices[index].title) ?? "device") {
                names.contains($0)
            }
            names.insert(name)
            draft.devices[index].name = name
        }
        if options.owner == nil, let device = draft.devices.first {
            reporter.assumed(
                device.node, "no source says who answers for a device; the owner is 'unassigned' (--owner)")
        }
    }
}
