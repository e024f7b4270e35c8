/// What a request costs in wire time, for the decision to bridge undeclared addresses.
package struct RequestCost: Hashable, Sendable {
    /// Everything that does not depend on the number of registers.
    package var perRequest: Duration
    package var perRegister: Duration
    package var perBit: Duration

    package init(perRequest: Duration, perRegister: Duration, perBit: Duration) {
        self.perRequest = perRequest
        self.perRegister = perRegister
        self.perBit = perBit
    }

    /// TCP: a round trip of about 2 ms against two bytes at a few Mbit/s and the device's own work for a register.
    package static let tcp = RequestCost(
        perRequest: .milliseconds(2), perRegister: .microseconds(20), perBit: .microseconds(1))

    /// Serial: 8 bytes there and 5 back without data, two silences, and what the device typically takes to turn around.
    package init(line: SerialLine, turnaround: Duration = .milliseconds(5)) {
        perRequest = line.duration(byteCount: 13) + line.frameSilence * 2 + turnaround
        perRegister = line.duration(byteCount: 2)
        perBit = line.duration(byteCount: 1) / 8
    }

    package init(_ channel: Connection.Channel) {
        switch channel {
        case .tcp: self = .tcp
        case .rtuOverTCP: self.init(line: SerialLine(path: "", baud: 9600))
        case .serial(let line): self.init(line: line)
        }
    }

    /// The most undeclared addresses that are cheaper to read over than a further request.
    package func worthwhileGap(in table: RegisterTable) -> Int {
        let single = table.isBits ? perBit : perRegister
        guard single > .zero else { return table.protocolLimit }
        return min(table.protocolLimit, Int(clamping: perRequest / single))
    }

    /// The most undeclared addresses that one request to a device with `limits` reads over.
    package func widestBridge(in table: RegisterTable, _ limits: DeviceLimits) -> Int {
        min(limits.gap ?? .max, worthwhileGap(in: table))
    }

    package func duration(of span: RegisterSpan) -> Duration {
        perRequest + (span.table.isBits ? perBit : perRegister) * span.registerCount
    }
}

/// An address at which a block must begin, because the device refused to answer for it together with what stands before.
package struct RegisterCut: Hashable, Sendable {
    package var table: RegisterTable
    package var address: Int

    package init(table: RegisterTable, address: Int) {
        self.table = table
        self.address = address
    }
}

/// One read request and the points that it answers.
package struct ReadBlock: Hashable, Sendable {
    /// A point and where its value starts in the reply.
    package struct Item: Hashable, Sendable {
        /// Index of the point in its device.
        package var point: Int
        /// Which of its places, see ``Point/spans``.
        package var part = 0
        /// Registers or bits before it in the block.
        package var offset: Int
        /// Registers or bits of the value.
        package var registerCount: Int
    }

    package var span: RegisterSpan
    /// Ascending by offset.
    package var items: [Item]
    /// Offsets at which the block may be cut: where a value or `sync` group begins.
    package var edges: [Int]
    /// The edges that have undeclared addresses before them.
    package var bridges: [Int]

    /// The first value of several, or `sync` group, as a block of its own; nil where there is only one.
    package var first: ReadBlock? {
        guard edges.count > 1 else { return nil }
        let count = items.filter { $0.offset < edges[1] }.map { $0.offset + $0.registerCount }.max() ?? edges[1]
        return ReadBlock(
            span: RegisterSpan(table: span.table, start: span.start, registerCount: count),
            items: items.filter { $0.offset < edges[1] }, edges: [edges[0]], bridges: [])
    }

    /// Where to cut after the device refused the block with exception 02 or 03: first at everything that was bridged, then
    /// in the middle. Empty when only one value is left, which is then known to be the refused one.
    package var cutsAfterRefusal: [RegisterCut] {
        let offsets = bridges.isEmpty ? (edges.count > 1 ? [edges[edges.count / 2]] : []) : bridges
        return offsets.map { RegisterCut(table: span.table, address: Int(span.start) + $0) }
    }
}

/// The requests of one device for one period, in the order in which they are sent.
package struct PollJob: Hashable, Sendable {
    package var period: Duration
    package var blocks: [ReadBlock]
    /// Points of other jobs that this one reads along, because points of its own cannot be decoded without them. Their
    /// readings come from the job that they belong to.
    package var readAlong: Set<Int> = []

    /// How many points it is there for.
    package var pointCount: Int {
        blocks.reduce(0) { $0 + $1.items.count { $0.part == 0 && !readAlong.contains($0.point) } }
    }
}

/// How the points of one device are read with as few and as cheap requests as its limits allow.
///
/// Block edges fall on value boundaries only: a value, a `sync` group or several bit fields of one register are never
/// split over two requests.
package struct ReadPlan: Hashable, Sendable {
    /// Ascending by period.
    package var jobs: [PollJob]

    package init(points: [Point], limits: DeviceLimits, cost: RequestCost, cuts: Set<RegisterCut> = []) {
        let polled = points.polledIndices
        let destructive = points.indices.filter { points[$0].isDestructiveRead }
        let closed = Set(points.indices).subtracting(polled).union(destructive)
        let packing = Packing(
            points: points, limits: limits, cost: cost, cuts: cuts, closed: closed.map { points[$0].span })
        let periods = Self.periods(of: points)
        let byPeriod = Dictionary(grouping: polled) { periods[$0] }
        let names = Dictionary(points.enumerated().map { ($1.name, $0) }) { first, _ in first }
        jobs = byPeriod.sorted { $0.key < $1.key }.map { period, indexes in
            let needed = Set(indexes.compactMap { points[$0].scaleReference.flatMap { names[$0.point] } })
            let readAlong = needed.subtracting(indexes)
            return PollJob(
                period: period, blocks: packing.blocks(of: indexes + readAlong.sorted()), readAlong: readAlong)
        }
    }

    /// A point that holds a scale is read as often as the fastest point that needs it, a `sync` group as often as its
    /// fastest member.
    private static func periods(of points: [Point]) -> [Duration] {
        var ofHolders: [String: Duration] = [:]
        var ofGroups: [String: Duration] = [:]
        for point in points {
            if let holder = point.scaleReference?.point {
                ofHolders[holder] = min(ofHolders[holder] ?? point.every, point.every)
            }
            if let group = point.syncGroup { ofGroups[group] = min(ofGroups[group] ?? point.every, point.every) }
        }
        return points.map { point in
            let related = [ofHolders[point.name], point.syncGroup.flatMap { ofGroups[$0] }]
            return related.compactMap(\.self).reduce(point.every, min)
        }
    }
}

extension [Point] {
    /// The points that are read. A register of which nothing can be read (`readback: none`) is not, unless another point
    /// needs its value.
    fileprivate var polledIndices: [Int] {
        let unreadable = indices.filter { self[$0].write?.readback == .nowhere && self[$0].write?.target == nil }
        guard !unreadable.isEmpty else { return Array<Int>(indices) }
        var needed = Set(compactMap { $0.scaleReference?.point })
        for point in self {
            if case .point(let name)? = point.write?.readback { needed.insert(name) }
            needed.formUnion(point.write?.boundPoints ?? [])
        }
        let unread = Set(unreadable.filter { !needed.contains(self[$0].name) })
        return indices.filter { !unread.contains($0) }
    }
}
