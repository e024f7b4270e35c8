/// Packs values into blocks, left to right in each table.
struct Packing {
    var points: [Point]
    var limits: DeviceLimits
    var cost: RequestCost
    var cuts: Set<RegisterCut>
    /// Registers that no request may read over: those that change by being read, and those that cannot be read.
    var closed: [RegisterSpan] = []

    /// A value, or one part of a value in several places.
    struct Value {
        var point: Int
        var part: Int
    }

    /// What must be read by one request: a value, everything of a `sync` group in one table, or values that share registers.
    struct Atom {
        var span: RegisterSpan
        var values: [Value]
        var isDestructive: Bool

        func merged(with other: Atom) -> Atom {
            let start = min(span.start, other.span.start)
            let end = max(span.end, other.span.end)
            return Atom(
                span: RegisterSpan(table: span.table, start: start, registerCount: end - Int(start)),
                values: values + other.values, isDestructive: isDestructive || other.isDestructive)
        }
    }

    func blocks(of indexes: [Int]) -> [ReadBlock] {
        var blocks: [[Atom]] = []
        for atom in atoms(of: indexes) {
            if let block = blocks.last, joins(atom, block) {
                blocks[blocks.count - 1].append(atom)
            } else {
                blocks.append([atom])
            }
        }
        return blocks.map(block(of:))
    }

    private func atoms(of indexes: [Int]) -> [Atom] {
        var groups: [String: Atom] = [:]
        var atoms: [Atom] = []
        for index in indexes {
            let point = points[index]
            for (part, span) in point.spans.enumerated() {
                let atom = Atom(
                    span: span, values: [Value(point: index, part: part)], isDestructive: point.isDestructiveRead)
                if let group = point.syncGroup {
                    let key = "\(span.table) \(group)"
                    groups[key] = groups[key]?.merged(with: atom) ?? atom
                } else {
                    atoms.append(atom)
                }
            }
        }
        return overlapsMerged(atoms + groups.values)
    }

    private func overlapsMerged(_ atoms: [Atom]) -> [Atom] {
        let sorted = atoms.sorted {
            ($0.span.table, $0.span.start, $0.span.end) < ($1.span.table, $1.span.start, $1.span.end)
        }
        var merged: [Atom] = []
        for atom in sorted {
            if let last = merged.last, last.span.overlaps(atom.span) {
                merged[merged.count - 1] = last.merged(with: atom)
            } else {
                merged.append(atom)
            }
        }
        return merged
    }

    private func joins(_ atom: Atom, _ block: [Atom]) -> Bool {
        guard let first = block.first, let last = block.last else { return false }
        let table = atom.span.table
        let limit = table.isBits ? limits.bitCount : limits.registerCount
        guard table == last.span.table, atom.span.end - Int(first.span.start) <= limit,
            !cuts.contains(RegisterCut(table: table, address: Int(atom.span.start)))
        else { return false }
        let gap = Int(atom.span.start) - last.span.end
        guard gap > 0 else { return true }
        let bridged = last.span.end..<Int(atom.span.start)
        return gap <= cost.widestBridge(in: table, limits) && !atom.isDestructive && !last.isDestructive
            && !closed.contains { $0.table == table && bridged.overlaps(Int($0.start)..<$0.end) }
    }

    private func block(of atoms: [Atom]) -> ReadBlock {
        let start = Int(atoms[0].span.start)
        let span = RegisterSpan(
            table: atoms[0].span.table, start: atoms[0].span.start,
            registerCount: atoms[atoms.count - 1].span.end - start)
        let items = atoms.flatMap(\.values).map { value in
            let own = points[value.point].spans[value.part]
            return ReadBlock.Item(
                point: value.point, part: value.part, offset: Int(own.start) - start, registerCount: own.registerCount)
        }
        let edges = atoms.map { Int($0.span.start) - start }
        let bridges = zip(atoms.dropFirst(), atoms).filter { Int($0.span.start) > $1.span.end }.map {
            Int($0.0.span.start) - start
        }
        return ReadBlock(
            span: span, items: items.sorted { ($0.offset, $0.point) < ($1.offset, $1.point) }, edges: edges,
            bridges: bridges)
    }
}
