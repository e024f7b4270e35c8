import Model

/// The keys of one point, from all layers that define it: the profile's defaults, a profile that it extends, the profile
/// itself, the site file. Later layers win, key by key.
struct PointLayers {
    var name: String
    var place: Place
    var fields: [String: Field]
    /// The copy of a repeated block that it is, and its name with `{n}`.
    var instance: RepeatInstance?
    var template: String?

    static let keys = [
        "table", "address", "reference", "parts", "type", "order", "charset", "layout", "count", "bits", "scale",
        "offset", "scale_from", "transform", "unit", "kind", "enum", "range", "limits", "sentinels", "sentinels_mean",
        "deadband", "every", "sync", "write",
        "destructive_read", "raw",
        "description",
    ]
    /// Poll periods that make sense.
    static let periods = Duration.milliseconds(10)...Duration.seconds(86_400)

    /// Puts another layer on top.
    ///
    /// - Parameter key: how that layer names the point. What is written for all copies of a block means each copy's own
    ///   addresses and names; what is written for one point is meant as it stands.
    mutating func override(_ own: [String: Field], as key: String, at place: Place) {
        merge(own.mapValues { key == template ? $0.repeated(instance) : $0 })
        self.place = place
    }

    /// Another layer wins, key by key. Of the three keys that say where a point is, one replaces the others.
    mutating func merge(_ own: [String: Field]) {
        if Self.placeKeys.contains(where: { own[$0] != nil }) { Self.placeKeys.forEach { fields[$0] = nil } }
        fields.merge(own) { $1 }
    }

    private static let placeKeys = ["address", "reference", "parts"]

    /// What a later layer says for all points that do not say otherwise themselves.
    mutating func adopt(defaults: [String: Field]) {
        fields.merge(defaults) { known, new in known.isDefault ? new : known }
    }
}

extension [PointLayers] {
    /// The points that a key of `points` means: the one with that name, or with `{n}` in it all copies of a repeated one.
    func indices(named key: String) -> [Int] {
        indices.filter { self[$0].name == key || self[$0].template == key }
    }
}

/// Gathers the layers of a profile: what it extends, its points, its repeated blocks.
struct LayerList {
    let defaults: [String: Field]
    let problems: ProblemList
    private(set) var points: [PointLayers]
    private var indexes: [String: Int]
    /// Where this file defines which point.
    private var own: [String: Place] = [:]

    init(inherited: [PointLayers], defaults: [String: Field], problems: ProblemList) {
        self.defaults = defaults.mapValues(\.asDefault)
        self.problems = problems
        points = inherited
        indexes = Dictionary(uniqueKeysWithValues: inherited.enumerated().map { ($1.name, $0) })
        for index in points.indices { points[index].adopt(defaults: self.defaults) }
    }

    /// What stands below `points`.
    mutating func add(_ field: Field) {
        for (key, keyField, value) in field.members(allowed: "point: {…}") ?? [] {
            guard let fields = value.fields(PointLayers.keys)?.byKey else { continue }
            if key.contains(RepeatInstance.placeholder) {
                let meant = points.indices(named: key)
                if meant.isEmpty { keyField.fail("the extended profile repeats no point '\(key)'") }
                for index in meant { points[index].override(fields, as: key, at: keyField.place) }
            } else if keyField.identifier(key) != nil {
                put(PointLayers(name: key, place: keyField.place, fields: fields))
            }
        }
    }

    /// One entry of `repeat`: its own points, or without such everything gathered so far.
    mutating func add(repeated field: Field) {
        guard let (block, own) = RepeatParser(field: field).parse() else { return }
        guard let own else {
            repeatAll(block, field)
            return
        }
        var single: [PointLayers] = []
        for (name, keyField, value) in own.members(allowed: "point: {…}") ?? [] {
            let example = name.replacing(RepeatInstance.placeholder, with: "1")
            guard keyField.identifier(example) != nil, let fields = value.fields(PointLayers.keys)?.byKey else {
                continue
            }
            single.append(PointLayers(name: name, place: keyField.place, fields: fields))
        }
        if fits(single, block, field) { block.copies(of: single).forEach { put($0) } }
    }

    private mutating func repeatAll(_ block: RepeatBlock, _ field: Field) {
        guard points.allSatisfy({ $0.instance == nil }) else {
            field.fail("repeat without points of its own repeats all points, and some are repeated already")
            return
        }
        guard fits(points, block, field) else { return }
        let copies = block.copies(of: points)
        (points, indexes, own) = ([], [:], [:])
        copies.forEach { put($0) }
    }

    private func fits(_ single: [PointLayers], _ block: RepeatBlock, _ field: Field) -> Bool {
        if single.isEmpty { field.fail("repeat has no points; write them below 'points:'") }
        let total = points.count + single.count * block.count
        guard total <= RepeatBlock.pointLimit else {
            field.fail("that makes \(total) points; allowed are \(RepeatBlock.pointLimit)")
            return false
        }
        return !single.isEmpty
    }

    private mutating func put(_ point: PointLayers) {
        if let place = own[point.name] {
            problems.error(point.place, "'\(point.name)' is already a point, in line \(place.line); names must differ")
            return
        }
        own[point.name] = point.place
        if let index = indexes[point.name] {
            points[index].merge(point.fields)
            points[index].place = point.place
        } else {
            indexes[point.name] = points.count
            points.append(point)
            points[points.count - 1].fields.merge(defaults) { own, _ in own }
        }
    }
}
