import Model

/// All points of a profile or of a device, and the rules between them.
struct PointList {
    let problems: ProblemList

    func parse(_ layers: [PointLayers]) -> [Point] {
        var parsed: [(PointLayers, Point)] = []
        // What is wrong with a point of a repeated block is said once, not for each copy.
        var wrong: Set<Place> = []
        for layer in layers where !wrong.contains(layer.place) {
            if let point = PointParser(layers: layer, problems: problems).parse() {
                parsed.append((layer, point))
            } else if layer.instance != nil {
                wrong.insert(layer.place)
            }
        }
        overlaps(parsed)
        references(parsed, all: layers)
        readbacks(parsed)
        return parsed.map(\.1)
    }

    /// Values that share registers must agree about them: the same registers read alike, or bit fields of one register.
    private func overlaps(_ points: [(PointLayers, Point)]) {
        var told: Set<[Place]> = []
        let sorted = points.sorted { ($0.1.table, $0.1.protocolAddress) < ($1.1.table, $1.1.protocolAddress) }
        for (index, (own, point)) in sorted.enumerated() {
            for (layers, other) in sorted[(index + 1)...] {
                guard point.span.overlaps(other.span) else { break }
                if Self.agree(point, other) || !told.insert([own.place, layers.place]).inserted { continue }
                problems.error(
                    layers.place,
                    "\(other.name) (\(other.encoding.type) at \(other.span)) overlaps \(point.name) (\(point.encoding.type) at \(point.span)); registers that two points share must have the same address and type, or be bits of one value"
                )
            }
        }
    }

    private static func agree(_ left: Point, _ right: Point) -> Bool {
        guard left.span == right.span else { return false }
        let areHalves = [left, right].allSatisfy { $0.encoding.type == .int8 || $0.encoding.type == .uint8 }
        return left.encoding.type == right.encoding.type || left.encoding.bits != nil || right.encoding.bits != nil
            || areHalves
    }

    private func references(_ points: [(PointLayers, Point)], all: [PointLayers]) {
        let names = Set(all.map(\.name))
        var told: Set<Place> = []
        for (layers, point) in points {
            guard let reference = point.scaleReference,
                !names.contains(reference.point) || reference.point == point.name, told.insert(layers.place).inserted
            else {
                continue
            }
            let hint = nearest(reference.point, in: all.map(\.name)).map { ", did you mean '\($0)'?" } ?? ""
            layers.fields["scale_from"]?.fail(
                "\(point.name): scale_from names no other point '\(reference.point)'\(hint)")
        }
    }

    private func readbacks(_ points: [(PointLayers, Point)]) {
        let byName = Dictionary(points.map { ($0.1.name, $0.1) }) { first, _ in first }
        var told: Set<Place> = []
        for (layers, point) in points {
            guard let field = layers.fields["write"], !told.contains(layers.place),
                let message = wrongReadback(of: point, byName)
            else { continue }
            told.insert(layers.place)
            field.fail(message)
        }
    }

    /// A write is confirmed by a point that exists, can be read without harm, and shows the same kind of value.
    private func wrongReadback(of point: Point, _ points: [String: Point]) -> String? {
        var confirming = point
        switch point.write?.readback {
        case .point(let name)?:
            guard let other = points[name] else {
                let hint = nearest(name, in: points.keys.sorted()).map { ", did you mean '\($0)'?" } ?? ""
                return "\(point.name): write.readback names no point '\(name)'\(hint)"
            }
            confirming = other
        case .place?, .nowhere?: return nil
        case nil where point.write == nil: return nil
        case nil: break
        }
        if confirming.isDestructiveRead {
            return
                "\(point.name): \(confirming.name) has destructive_read and cannot confirm a write; name another place in write.readback"
        }
        if confirming.datatype.isNumeric != point.datatype.isNumeric {
            return
                "\(point.name) is \(point.datatype) and cannot be confirmed by \(confirming.name), \(confirming.datatype)"
        }
        return nil
    }
}
