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
        bounds(parsed)
        groups(parsed)
        return parsed.map(\.1)
    }

    /// Values that share registers must agree about them: the same registers read alike, or bit fields of one register.
    private func overlaps(_ points: [(PointLayers, Point)]) {
        var told: Set<[Place]> = []
        let spans = points.flatMap { layers, point in point.spans.map { (layers: layers, point: point, span: $0) } }
        let sorted = spans.sorted { ($0.span.table, $0.span.start) < ($1.span.table, $1.span.start) }
        for (index, first) in sorted.enumerated() {
            for second in sorted[(index + 1)...] {
                guard first.span.overlaps(second.span) else { break }
                let (point, other) = (first.point, second.point)
                if first.span == second.span, Self.agree(point, other) { continue }
                if !told.insert([first.layers.place, second.layers.place]).inserted { continue }
                problems.error(
                    second.layers.place,
                    "\(other.name) (\(other.encoding.type) at \(second.span)) overlaps \(point.name) (\(point.encoding.type) at \(first.span)); registers that two points share must have the same address and type, or be bits of one value"
                )
            }
        }
    }

    /// Two points with the same registers.
    private static func agree(_ left: Point, _ right: Point) -> Bool {
        if left.parts != nil || right.parts != nil { return true }
        let areHalves = [left, right].allSatisfy { $0.encoding.type == .int8 || $0.encoding.type == .uint8 }
        return left.encoding.type == right.encoding.type || left.encoding.bits != nil || right.encoding.bits != nil
            || areHalves
    }

    private func references(_ points: [(PointLayers, Point)], all: [PointLayers]) {
        let names = Set(all.map(\.name))
        let byName = Dictionary(points.map { ($0.1.name, $0.1) }) { first, _ in first }
        var told: Set<Place> = []
        for (layers, point) in points {
            guard let reference = point.scaleReference, let field = layers.fields["scale_from"],
                !told.contains(layers.place)
            else { continue }
            if !names.contains(reference.point) || reference.point == point.name {
                let hint = nearest(reference.point, in: all.map(\.name)).map { ", did you mean '\($0)'?" } ?? ""
                field.fail("\(point.name): scale_from names no other point '\(reference.point)'\(hint)")
            } else if let reason = byName[reference.point].flatMap(Self.whyNoScale) {
                field.fail("\(point.name): \(reference.point) cannot hold a scale: \(reason)")
            } else {
                continue
            }
            told.insert(layers.place)
        }
    }

    /// A scale is read whenever a value needs it, and is a number of its own.
    private static func whyNoScale(_ holder: Point) -> String? {
        if !holder.datatype.isNumeric { return "it is a \(holder.datatype)" }
        if holder.scaleReference != nil { return "it has a scale_from itself" }
        if holder.parts != nil { return "it has parts" }
        if holder.isDestructiveRead { return "it has destructive_read" }
        return nil
    }

    /// Bounds that the device holds are numbers in the unit of the point, which can be read at any time.
    private func bounds(_ points: [(PointLayers, Point)]) {
        let byName = Dictionary(points.map { ($0.1.name, $0.1) }) { first, _ in first }
        var told: Set<Place> = []
        for (layers, point) in points {
            for name in point.write?.boundPoints ?? [] where !told.contains(layers.place) {
                guard let reason = whyNoBound(name, point, byName) else { continue }
                layers.fields["write"]?.fail("\(point.name): \(reason)")
                told.insert(layers.place)
            }
        }
    }

    private func whyNoBound(_ name: String, _ point: Point, _ points: [String: Point]) -> String? {
        guard let holder = points[name], name != point.name else {
            let hint = nearest(name, in: points.keys.sorted()).map { ", did you mean '\($0)'?" } ?? ""
            return "write: {min, max} names no other point '\(name)'\(hint)"
        }
        if !holder.datatype.isNumeric { return "\(name) cannot hold a bound: it is a \(holder.datatype)" }
        if holder.parts != nil { return "\(name) cannot hold a bound: it has parts" }
        if holder.isDestructiveRead { return "\(name) cannot hold a bound: it has destructive_read" }
        if holder.unit != point.unit {
            return "\(name) cannot hold a bound: it is in \(holder.unit), and \(point.name) in \(point.unit)"
        }
        return nil
    }

    /// A `sync` group is read by one request, which reads one table.
    private func groups(_ points: [(PointLayers, Point)]) {
        var tables: [String: RegisterTable] = [:]
        var told: Set<Place> = []
        for (layers, point) in points {
            guard let group = point.syncGroup else { continue }
            for span in point.spans {
                let table = tables[group] ?? span.table
                tables[group] = table
                if table == span.table || !told.insert(layers.place).inserted { continue }
                layers.fields["sync"]?.fail(
                    "\(point.name): the group '\(group)' has points in \(table) and in \(span.table), which no request reads together"
                )
            }
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
        if confirming.parts != nil { return "\(point.name): \(confirming.name) has parts and cannot confirm a write" }
        if confirming.datatype.isNumeric != point.datatype.isNumeric {
            return
                "\(point.name) is \(point.datatype) and cannot be confirmed by \(confirming.name), \(confirming.datatype)"
        }
        return nil
    }
}
