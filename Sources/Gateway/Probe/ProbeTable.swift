package import Model

/// Every way in which consecutive registers could be meant, side by side, to settle types and byte orders.
package struct ProbeTable: Hashable, Sendable {
    /// One way to read the registers at one address.
    package struct Candidate: Hashable, Sendable {
        package var protocolAddress: UInt16
        package var words: [UInt16]
        package var type: ValueType
        /// Nil where it makes no difference.
        package var order: ByteOrder?
        package var value: PointValue
        package var isPlausible: Bool
        /// The power of ten or two by which the value is the expected one; nil when nothing is expected or none is.
        package var scale: DecimalNumber?
    }

    package var span: RegisterSpan
    package var words: [UInt16]
    package var candidates: [Candidate]

    private static let orders = [
        ByteOrder(), ByteOrder(wordsAreSwapped: true), ByteOrder(bytesAreSwapped: true),
        ByteOrder(wordsAreSwapped: true, bytesAreSwapped: true),
    ]
    private static let types: [ValueType] = [
        .uint16, .int16, .bcd16, .uint32, .int32, .float32, .bcd32, .decade32, .udecade32, .uint48, .int48,
        .float64, .uint64, .int64,
    ]
    private static let scales = (-4...3).map { DecimalNumber(mantissa: 1, exponent: Int8($0)) }

    /// - Parameter expected: what the device shows at the moment.
    package init(span: RegisterSpan, words: [UInt16], expected: DecimalNumber? = nil) {
        self.span = span
        self.words = words
        guard !span.table.isBits else {
            candidates = []
            return
        }
        candidates = words.indices.flatMap { offset in
            Self.types.flatMap { Self.candidates($0, at: offset, of: span, words, expected) }
        }
    }

    private static func candidates(
        _ type: ValueType, at offset: Int, of span: RegisterSpan, _ words: [UInt16], _ expected: DecimalNumber?
    ) -> [Candidate] {
        let count = type.fixedRegisterCount ?? 1
        guard offset + count <= words.count else { return [] }
        let own = Array(words[offset..<(offset + count)])
        // In one register only the bytes can change places.
        let possible = count == 1 ? orders.filter { !$0.wordsAreSwapped } : orders
        return possible.compactMap { order in
            guard case .value(let value) = Encoding(type: type, order: order).decode(own.span) else { return nil }
            return Candidate(
                protocolAddress: span.start + UInt16(offset), words: own, type: type, order: order, value: value,
                isPlausible: isPlausible(value, type, own),
                scale: expected.flatMap { scale(from: value, to: $0) })
        }
    }

    /// A number that a measurement could be. Wrong byte orders give floats of absurd size and huge integers.
    private static func isPlausible(_ value: PointValue, _ type: ValueType, _ words: [UInt16]) -> Bool {
        guard let number = value.number?.magnitude, words.contains(where: { $0 != 0 }) else { return false }
        switch type {
        case .decade32, .udecade32: return number >= 1e-3 && number < 1e9 && words.contains { $0 & 0xFF00 >= 0xF000 }
        case .float32, .float64: return number >= 1e-3 && number < 1e7
        case .uint32, .int32, .bcd32: return number < 100_000_000 && number >= 1
        case .uint48, .int48, .uint64, .int64: return number < 1_000_000_000_000 && number >= 1
        case _: return number <= 32_767
        }
    }

    /// The scale by which `value` is `expected` as exactly as the expected number was written, with half a percent for
    /// what moves meanwhile.
    private static func scale(from value: PointValue, to expected: DecimalNumber) -> DecimalNumber? {
        guard let number = value.number, number != 0, expected.mantissa != 0 else { return nil }
        let wanted = expected.double
        let close = scales.filter { abs(number * $0.double - wanted) <= wanted.magnitude * 0.005 }
        return close.min { abs(number * $0.double - wanted) < abs(number * $1.double - wanted) }
    }

    /// The candidates that give the expected value, nearest first; unscaled and shorter ones before others.
    package func answers(_ expected: DecimalNumber) -> [Candidate] {
        let fitting = candidates.filter { $0.scale != nil }
        func distance(_ candidate: Candidate) -> Double {
            abs((candidate.value.number ?? 0) * (candidate.scale ?? .one).double - expected.double)
        }
        return fitting.sorted { left, right in
            let (near, far) = (distance(left), distance(right))
            if abs(near - far) > expected.double.magnitude * 1e-6 { return near < far }
            return Self.effort(left) < Self.effort(right)
        }
    }

    /// What a candidate asks one to believe: a scale, an unusual order, a long value that is mostly zero.
    private static func effort(_ candidate: Candidate) -> Int {
        let order = candidate.order ?? .bigEndian
        return (candidate.scale == .one ? 0 : 2) + (order.bytesAreSwapped ? 4 : 0) + (order.wordsAreSwapped ? 1 : 0)
            + (candidate.type.isFloat ? 0 : 1) + (candidate.type.isDecade ? 2 : 0)
            + (candidate.type == .bcd16 || candidate.type == .bcd32 ? 3 : 0)
            + candidate.words.count
    }
}
