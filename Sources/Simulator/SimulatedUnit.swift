package import Model
import Synchronization

/// One simulated device: the registers that its profile declares, with values that move plausibly.
///
/// Everything is behind one lock: the server's thread answers from it, others set values and read what was written.
package final class SimulatedUnit: Sendable {
    private struct State {
        var words: [RegisterTable: [UInt16: UInt16]] = [:]
        /// Values that somebody set, or a master wrote, by point index: they no longer wander.
        var held: [Int: PointValue] = [:]
        var writes: [Write] = []
    }

    /// What a master wrote, in the order of arrival.
    package struct Write: Hashable, Sendable {
        package var span: RegisterSpan
        package var words: [UInt16]
    }

    /// Older ones are forgotten.
    private static let logLimit = 100_000

    package let points: [Point]
    private let wandering: [Wandering]
    private let state = Mutex(State())
    private let toleratesGaps: Bool
    /// Answers to reads of exactly these registers, which in longer reads are halves of something else.
    private let alone: [RegisterSpan: [UInt16]]
    /// What Read Device Identification tells, by object; empty for a device that does not know it.
    package let objects: [UInt8: String]

    /// - Parameters:
    ///   - seed: makes two units of one profile differ.
    ///   - toleratesGaps: whether reads over undeclared addresses give zeros instead of exception 02.
    package init(
        points: [Point], seed: UInt64 = 1, toleratesGaps: Bool = false, alone: [RegisterSpan: [UInt16]] = [:],
        objects: [UInt8: String] = [:]
    ) {
        self.points = points
        self.toleratesGaps = toleratesGaps
        self.alone = alone
        self.objects = objects
        wandering = points.enumerated().map { Wandering(point: $1, seed: seed &* 7919 &+ UInt64($0)) }
        advance(to: 0)
    }

    /// A unit that is what `profile` describes, also to those who check its identity.
    ///
    /// - Parameter isLenient: whether it answers over undeclared addresses even where the profile says that it does not.
    package convenience init(profile: DeviceProfile, seed: UInt64 = 1, isLenient: Bool = false) {
        // A chain of the models that the profile wants, each once.
        var whole = profile
        whole.identity += profile.sunSpec.map { $0.identity(of: $0.nominal) } ?? []
        // They come last, so that they win where a point takes the same registers for something else.
        let identity = whole.identityExamples
        let isAlone = { (point: Point) in
            profile.points.contains { $0.span.overlaps(point.span) && $0.span.registerCount > point.span.registerCount }
        }
        var alone: [RegisterSpan: [UInt16]] = [:]
        for (point, value) in identity where isAlone(point) { alone[point.span] = try? point.encoding.encode(value) }
        let held = identity.filter { !isAlone($0.point) }
        self.init(
            points: profile.points + held.map(\.point), seed: seed,
            toleratesGaps: isLenient || profile.limits.gap != 0, alone: alone, objects: profile.identityObjects)
        for (point, value) in held { set(point.name, value) }
    }

    /// Moves every value that nobody holds to where it is `seconds` after the start.
    package func advance(to seconds: Double) {
        state.withLock { state in
            for index in points.indices {
                let value = state.held[index] ?? wandering[index].value(at: seconds)
                store(value, of: index, in: &state)
            }
        }
    }

    /// Holds a point at a value; unknown names are ignored, so that one plant model drives different profiles.
    package func set(_ point: String, _ value: PointValue) {
        guard let index = points.firstIndex(where: { $0.name == point }) else { return }
        state.withLock { state in
            state.held[index] = value
            store(value, of: index, in: &state)
        }
    }

    /// Why a point cannot be held at a value, in words.
    package struct NoSuchValue: Error, Hashable, Sendable {
        package var reason: String
    }

    /// Holds a point at a value, written as consumers see it or as its label.
    package func set(_ name: String, writtenAs text: String) throws(NoSuchValue) {
        guard let point = points.first(where: { $0.name == name }) else {
            throw NoSuchValue(reason: "no point '\(name)'; there are: \(points.map(\.name).joined(separator: ", "))")
        }
        let value: PointValue
        do throws(Point.NoValue) { value = try point.value(writtenAs: text) } catch {
            throw NoSuchValue(reason: error.reason)
        }
        let raw = value.unscaled(by: scale(of: point), point.scaleReference) ?? value
        let isHeld =
            point.encoding.bits == nil ? (try? point.encode(raw)) != nil : (try? point.encoding.encodeField(raw)) != nil
        guard isHeld else {
            throw NoSuchValue(reason: "\(name) cannot hold \(text) (\(point.encoding.type))")
        }
        set(name, raw)
    }

    private func scale(of point: Point) -> PointValue {
        point.scaleReference.flatMap { value(of: $0.point) } ?? .null
    }

    /// The value that the registers hold, nil for an unknown point or one that does not decode.
    package func value(of point: String) -> PointValue? {
        guard let point = points.first(where: { $0.name == point }) else { return nil }
        let words = point.spans.compactMap { try? read($0).get() }
        guard words.count == point.spans.count, case .value(let value) = point.decode(words) else { return nil }
        return value
    }

    /// Writes that masters made since the start.
    package var writes: [Write] {
        state.withLock { $0.writes }
    }

    /// The words of a span, or the exception code that a real device would answer.
    package func read(_ span: RegisterSpan) -> Result<[UInt16], ModbusException> {
        guard span.registerCount >= 1, span.registerCount <= span.table.protocolLimit else {
            return .failure(.illegalValue)
        }
        guard span.end <= 65_536 else { return .failure(.illegalAddress) }
        if let words = alone[span] { return .success(words) }
        return state.withLock { state in
            let table = state.words[span.table] ?? [:]
            var words: [UInt16] = []
            words.reserveCapacity(span.registerCount)
            for address in Int(span.start)..<span.end {
                guard let word = table[UInt16(address)] ?? (toleratesGaps ? 0 : nil) else {
                    return .failure(.illegalAddress)
                }
                words.append(word)
            }
            return .success(words)
        }
    }

    /// Takes a write of a master and holds every point that it touched. Only declared coils and holding registers exist.
    ///
    /// - Parameters:
    ///   - isDeaf: it is logged and has no effect.
    ///   - clamps: values end at what the points declare as writable.
    package func write(
        _ words: [UInt16], to start: UInt16, in table: RegisterTable, isDeaf: Bool = false, clamps: Bool = false
    ) -> ModbusException? {
        guard table.isWritable, Int(start) + words.count <= 65_536 else { return .illegalAddress }
        let written = RegisterSpan(table: table, start: start, registerCount: words.count)
        return state.withLock { state in
            guard written.addresses.allSatisfy({ state.words[table]?[$0] != nil }) else { return .illegalAddress }
            if state.writes.count >= Self.logLimit { state.writes.removeFirst(Self.logLimit / 2) }
            state.writes.append(Write(span: written, words: words))
            if isDeaf { return nil }
            for (address, word) in zip(written.addresses, words) { state.words[table]?[address] = word }
            for (index, point) in points.enumerated() where point.spans.contains(where: { $0.overlaps(written) }) {
                guard let value = value(of: point, in: state) else { continue }
                state.held[index] = clamps ? clamped(value, point, in: state) : value
                if clamps { store(state.held[index] ?? value, of: index, in: &state) }
            }
            return nil
        }
    }

    private func value(of point: Point, in state: State) -> PointValue? {
        let words = point.spans.map { span in span.addresses.map { state.words[span.table]?[$0] ?? 0 } }
        if case .value(let value) = point.decode(words) { return value }
        return nil
    }

    /// The nearest value that `write` declares as possible, or other points hold as bounds.
    private func clamped(_ value: PointValue, _ point: Point, in state: State) -> PointValue {
        guard let number = value.number, let rule = point.write else { return value }
        func held(_ name: String?) -> Double? {
            points.first { $0.name == name }.flatMap { self.value(of: $0, in: state)?.number }
        }
        if let low = held(rule.lowPoint) ?? rule.low, number < low { return .double(low) }
        if let high = held(rule.highPoint) ?? rule.high, number > high { return .double(high) }
        return value
    }

    private func store(_ value: PointValue, of index: Int, in state: inout State) {
        let point = points[index]
        if point.parts != nil {
            for (span, words) in zip(point.spans, (try? point.encode(value)) ?? []) {
                for (address, word) in zip(span.addresses, words) {
                    state.words[span.table, default: [:]][address] = word
                }
            }
            for span in point.spans {
                for address in span.addresses where state.words[span.table]?[address] == nil {
                    state.words[span.table, default: [:]][address] = 0
                }
            }
            return
        }
        var table = state.words[point.table] ?? [:]
        if let bits = point.encoding.bits {
            let old = point.span.addresses.map { table[$0] ?? 0 }
            let merged = point.encoding.merging(UInt64(clamping: max(0, value.number ?? 0)), at: bits, into: old)
            for (address, word) in zip(point.span.addresses, merged) { table[address] = word }
        } else if let words = try? point.encoding.encode(value) {
            for (address, word) in zip(point.span.addresses, words) { table[address] = word }
        } else {
            for address in point.span.addresses where table[address] == nil { table[address] = 0 }
        }
        state.words[point.table] = table
    }
}

/// The exception codes that a simulated device answers with.
package enum ModbusException: UInt8, Error, Sendable {
    case illegalFunction = 1
    case illegalAddress = 2
    case illegalValue = 3
    case targetFailed = 0x0B
}

extension RegisterSpan {
    /// Every address of the span.
    var addresses: [UInt16] {
        (Int(start)..<end).map { UInt16(truncatingIfNeeded: $0) }
    }
}

extension Encoding {
    /// The words with a bit field replaced.
    fileprivate func merging(_ field: UInt64, at bits: ClosedRange<Int>, into words: [UInt16]) -> [UInt16] {
        let ones: UInt64 = bits.count >= 64 ? .max : (1 << UInt64(bits.count)) - 1
        let mask = ones << UInt64(bits.lowerBound)
        let others = order.assemble(words.span) & ~mask
        let assembled = others | (field << UInt64(bits.lowerBound)) & mask
        return order.disassemble(assembled, registerCount: registerCount)
    }
}
