import Model

/// One of the copies that a repeated block makes: what becomes of the addresses and names that are written in it.
struct RepeatInstance {
    /// What `{n}` stands for.
    let number: Int
    /// How far its addresses lie behind those of the first copy.
    let shift: Int
    /// What comes before the names of its points, `feeder3_`.
    let prefix: String
    /// The names in the block, without prefix.
    let members: Set<String>

    /// What stands for the number of the copy.
    static let placeholder = "{n}"

    func filled(_ text: String) -> String {
        text.replacing(Self.placeholder, with: String(number))
    }

    /// The point of the device that is meant by a name written in the block: one of the same copy where there is one.
    func pointName(_ text: String) -> String {
        members.contains(text) ? prefix + text : filled(text)
    }

    /// The `sync` group of this copy: what belongs together is one copy, not all of them.
    func groupName(_ text: String) -> String {
        text.contains(Self.placeholder) ? filled(text) : prefix + text
    }
}

/// A block of points that a device has several times at equal distances (profile key `repeat`).
struct RepeatBlock {
    let count: Int
    let stride: Int
    let first: Int
    /// With `{n}` for the number.
    let name: String

    /// The most copies of one block, and the most points of a profile: far beyond any device, and quickly checked.
    static let countLimit = 1000
    static let pointLimit = 5000

    /// The copies of a layer for each point of the block, copy by copy.
    func copies(of points: [PointLayers]) -> [PointLayers] {
        let members = Set(points.map(\.name))
        return (0..<count).flatMap { index in
            let number = first + index
            let prefix = name.replacing(RepeatInstance.placeholder, with: String(number))
            let instance = RepeatInstance(number: number, shift: index * stride, prefix: prefix, members: members)
            return points.map { point in
                var copy = point
                // A name that has the number itself needs no prefix.
                let isNumbered = point.name.contains(RepeatInstance.placeholder)
                copy.name = isNumbered ? instance.filled(point.name) : prefix + point.name
                copy.template = isNumbered ? point.name : name + point.name
                copy.instance = instance
                copy.fields = point.fields.mapValues { $0.repeated(instance) }
                return copy
            }
        }
    }
}

/// Reads one entry of `repeat`.
struct RepeatParser {
    let field: Field

    static let keys = ["count", "stride", "name", "first", "points"]

    /// - Returns: the block and, where it has points of its own, their field.
    func parse() -> (block: RepeatBlock, points: Field?)? {
        guard let fields = field.fields(Self.keys, required: ["count", "stride"]),
            let count = fields["count"]?.integer(in: 1...RepeatBlock.countLimit),
            let stride = fields["stride"]?.integer(in: 1...65_535), let name = prefix(fields)
        else { return nil }
        let first = fields["first"].map { $0.integer(in: 0...65_535) } ?? 1
        guard let first else { return nil }
        return (RepeatBlock(count: count, stride: stride, first: first, name: name), fields["points"])
    }

    /// Without a name every point of the block has the number in its own.
    private func prefix(_ fields: Fields) -> String? {
        if let name = fields["name"] { return template(name) }
        let members = fields["points"]?.members(allowed: "point: {…}") ?? []
        if !members.isEmpty, members.allSatisfy({ $0.key.contains(RepeatInstance.placeholder) }) { return "" }
        field.fail("repeat: the key 'name' is missing, such as \"feeder{n}_\"; or each point has {n} in its own name")
        return nil
    }

    private func template(_ field: Field) -> String? {
        guard let text = field.text("a name with {n}, such as \"feeder{n}_\"") else { return nil }
        guard text.contains(RepeatInstance.placeholder) else {
            field.fail("name must contain {n} for the number of the copy, such as \"feeder{n}_\", not \(field.written)")
            return nil
        }
        return field.identifier(text.replacing(RepeatInstance.placeholder, with: "1")).map { _ in text }
    }
}
