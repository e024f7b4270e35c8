/// One information model of the SunSpec Alliance, as its file defines it. Addresses of its points count from the register
/// that holds the model's number; register 1 holds the length, the data begin at 2.
package struct SunSpecModel: Hashable, Sendable {
    /// A block of points that repeats to the end of the model.
    package struct Repeat: Hashable, Sendable {
        /// Where the first one begins, counted like the points.
        package var start: Int
        package var stride: Int
        /// Addresses count from the begin of a block.
        package var points: [Point]

        package init(start: Int, stride: Int, points: [Point]) {
            self.start = start
            self.stride = stride
            self.points = points
        }
    }

    /// The numbers of the models that are laid out like this.
    package var ids: [UInt16]
    /// What the names of its points begin with.
    package var prefix: String
    /// Registers after number and length, with one block of those that repeat.
    package var length: Int
    package var points: [Point]
    package var repeated: Repeat?
    /// Points with a poll period of their own, which a period for the whole device does not change.
    package var ownPeriods: Set<String>

    package init(
        ids: [UInt16], prefix: String, length: Int, points: [Point], repeated: Repeat? = nil,
        ownPeriods: Set<String> = []
    ) {
        self.ids = ids
        self.prefix = prefix
        self.length = length
        self.points = points
        self.repeated = repeated
        self.ownPeriods = ownPeriods
    }

    /// The points of the model at a place of a chain. What would lie behind the end of the model is left out: older devices
    /// have shorter ones.
    ///
    /// - Parameter instance: 1 for the first model of this kind in a chain, 2 for the next one.
    func points(at entry: SunSpecChain.Entry, instance: Int) -> [Point] {
        let prefix = instance == 1 ? prefix : "\(prefix)\(instance)"
        let end = 2 + entry.length
        var placed = points.filter { Int($0.protocolAddress) + $0.encoding.registerCount <= end }
            .map { ("\(prefix)_\($0.name)", Int($0.protocolAddress), $0) }
        let single = Set(placed.map(\.2.name))
        if let repeated, repeated.stride > 0, end > repeated.start {
            for block in 0..<((end - repeated.start) / repeated.stride) {
                let start = repeated.start + block * repeated.stride
                placed += repeated.points.map {
                    ("\(prefix)_\(block + 1)_\($0.name)", start + Int($0.protocolAddress), $0)
                }
            }
        }
        return placed.map { name, offset, template in
            var point = template
            point.name = name
            point.protocolAddress = UInt16(truncatingIfNeeded: Int(entry.start) + offset)
            point.write = template.write?.renamed { single.contains($0) ? "\(prefix)_\($0)" : $0 }
            // Scales are held by the model, not by its blocks. One that the device leaves out stays away with its values.
            switch template.scaleReference {
            case .exponent(let scale)? where single.contains(scale):
                point.scaleReference = .exponent(point: "\(prefix)_\(scale)")
            case .factor(let scale)? where single.contains(scale):
                point.scaleReference = .factor(point: "\(prefix)_\(scale)")
            case nil: break
            case .exponent?, .factor?: return nil
            }
            return point
        }.compactMap { $0 }
    }
}

/// The models that a device holds, in the order in which it holds them.
package struct SunSpecChain: Hashable, Sendable {
    package struct Entry: Hashable, Sendable {
        package var id: UInt16
        /// Protocol address of the register that holds the number.
        package var start: UInt16
        /// Registers after number and length.
        package var length: Int

        package init(id: UInt16, start: UInt16, length: Int) {
            self.id = id
            self.start = start
            self.length = length
        }
    }

    /// Protocol address of the mark "SunS".
    package var base: UInt16
    package var entries: [Entry]
    /// Protocol address of the end mark; nil where the device refuses what comes after its last model.
    package var end: UInt16?

    package init(base: UInt16, entries: [Entry], end: UInt16?) {
        self.base = base
        self.entries = entries
        self.end = end
    }

    /// "SunS"
    package static let mark: [UInt16] = [0x5375, 0x6E53]
    package static let endMark: UInt16 = 0xFFFF
    /// Where a chain may begin, in the order in which the places are tried.
    package static let bases: [UInt16] = [40_000, 50_000, 0]
}

/// What a profile wants of a chain (profile key `sunspec`).
package struct SunSpecSelection: Hashable, Sendable {
    /// Numbers of models, in the order of the profile.
    package var wanted: [UInt16]
    /// Their definitions.
    package var models: [SunSpecModel]

    package init(wanted: [UInt16], models: [SunSpecModel]) {
        self.wanted = wanted
        self.models = models
    }

    private func definition(of id: UInt16) -> SunSpecModel? {
        guard wanted.contains(id) else { return nil }
        return models.first { $0.ids.contains(id) }
    }

    /// Every point of the wanted models of a chain.
    package func points(of chain: SunSpecChain) -> [Point] {
        var instances: [String: Int] = [:]
        return chain.entries.flatMap { entry -> [Point] in
            guard let model = definition(of: entry.id) else { return [] }
            instances[model.prefix, default: 0] += 1
            return model.points(at: entry, instance: instances[model.prefix] ?? 1)
        }
    }

    /// What shows that the device still holds `chain`: the mark, the number and length of each wanted model, the end.
    package func identity(of chain: SunSpecChain) -> [IdentityCheck] {
        let mark = UInt64(SunSpecChain.mark[0]) << 16 | UInt64(SunSpecChain.mark[1])
        var checks = [Self.check("the mark SunS", at: chain.base, .uint32, mark)]
        for entry in chain.entries where definition(of: entry.id) != nil {
            checks.append(
                Self.check(
                    "model \(entry.id) of \(entry.length) registers", at: entry.start, .uint32,
                    UInt64(entry.id) << 16 | UInt64(entry.length)))
        }
        if let end = chain.end {
            checks.append(Self.check("the end of the models", at: end, .uint16, UInt64(SunSpecChain.endMark)))
        }
        return checks
    }

    private static func check(_ words: String, at address: UInt16, _ type: ValueType, _ value: UInt64) -> IdentityCheck
    {
        let point = Point(
            name: "sunspec_\(address)", table: .holding, protocolAddress: address, encoding: Encoding(type: type),
            summary: words)
        return .register(point, equals: .uint(value))
    }

    /// Models that the profile wants and `chain` has not, nor another one of the same kind.
    package func missing(in chain: SunSpecChain) -> [UInt16] {
        let kinds = Set(chain.entries.compactMap { definition(of: $0.id)?.prefix })
        return wanted.filter { id in definition(of: id).map { !kinds.contains($0.prefix) } ?? true }
    }

    /// The chain of a device that has one model of each kind: what is known before a device has been asked.
    package var nominal: SunSpecChain {
        var next = Int(SunSpecChain.bases[0]) + SunSpecChain.mark.count
        var entries: [SunSpecChain.Entry] = []
        var kinds: Set<String> = []
        for id in wanted {
            guard let model = definition(of: id), kinds.insert(model.prefix).inserted else { continue }
            entries.append(SunSpecChain.Entry(id: id, start: UInt16(truncatingIfNeeded: next), length: model.length))
            next += 2 + model.length
        }
        return SunSpecChain(base: SunSpecChain.bases[0], entries: entries, end: UInt16(truncatingIfNeeded: next))
    }

    /// The same with another poll period for every point that has none of its own.
    package func polled(every period: Duration) -> SunSpecSelection {
        var selection = self
        for index in models.indices {
            let own = models[index].ownPeriods
            for place in models[index].points.indices where !own.contains(models[index].points[place].name) {
                selection.models[index].points[place].every = period
            }
            for place in (models[index].repeated?.points ?? []).indices
            where !own.contains(models[index].repeated?.points[place].name ?? "") {
                selection.models[index].repeated?.points[place].every = period
            }
        }
        return selection
    }
}
