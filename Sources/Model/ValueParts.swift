/// A value that a device holds in several places (profile key `parts`).
package struct ValueParts: Hashable, Sendable {
    package struct Item: Hashable, Sendable {
        package var span: RegisterSpan
        package var encoding: Encoding
        /// What one step of this part is worth.
        package var scale: DecimalNumber

        package init(span: RegisterSpan, encoding: Encoding, scale: DecimalNumber = .one) {
            self.span = span
            self.encoding = encoding
            self.scale = scale
        }
    }

    package var items: [Item]
    /// Whether each part is a number of its own, and the value their sum; else the registers, one part behind the other,
    /// hold one value.
    package var isSum: Bool

    package init(items: [Item], isSum: Bool) {
        self.items = items
        self.isSum = isSum
    }
}

extension Point {
    /// Decodes the registers of ``spans``.
    package func decode(_ words: [[UInt16]]) -> Decoded {
        guard let parts, parts.isSum else {
            let joined = words.flatMap { $0 }
            return encoding.decode(joined.span)
        }
        var sum = DecimalNumber.zero
        for (item, own) in zip(parts.items, words) {
            let decoded = item.encoding.decode(own.span)
            guard case .value(let value) = decoded else { return decoded }
            let exact = value.exact ?? value.number.flatMap { DecimalNumber($0.description) }
            guard let next = exact?.multiplied(by: item.scale).flatMap(sum.adding) else { return .bad(.decodeError) }
            sum = next
        }
        return encoding.scaling(.decimal(sum))
    }

    /// The words of each of ``spans`` for a value.
    package func encode(_ value: PointValue) throws(EncodingError) -> [[UInt16]] {
        guard let parts else { return [try encoding.encode(value)] }
        guard parts.isSum else {
            var rest = try encoding.encode(value)[...]
            return parts.items.map { item in
                defer { rest = rest.dropFirst(item.span.registerCount) }
                return Array(rest.prefix(item.span.registerCount))
            }
        }
        return try addends(encoding.unscaled(value), parts)
    }

    /// The largest steps first, each as often as it fits; the smallest takes what is left.
    private func addends(_ total: Double, _ parts: ValueParts) throws(EncodingError) -> [[UInt16]] {
        let order = parts.items.indices.sorted { parts.items[$0].scale.double > parts.items[$1].scale.double }
        var words: [[UInt16]] = Array(repeating: [], count: parts.items.count)
        var rest = total
        for index in order {
            let item = parts.items[index]
            // A hair more, so that 3 × 0.1 is worth three steps of 0.1.
            let share = rest / item.scale.double
            let count = index == order.last ? share.rounded() : (share + share.magnitude * 1e-12).rounded(.towardZero)
            words[index] = try item.encoding.encode(.double(count))
            rest -= count * item.scale.double
        }
        return words
    }
}

extension Encoding {
    /// Applies scale and offset to a raw number.
    func scaling(_ raw: PointValue) -> Decoded {
        let decoded = scaled(raw)
        guard let transform, case .value(let value) = decoded else { return decoded }
        return transform.decode(value)
    }

    /// The raw number before scale and offset.
    func unscaled(_ value: PointValue) throws(EncodingError) -> Double {
        let value = try transform?.encode(value) ?? value
        guard let number = value.number, number.isFinite else { throw .wrongKind }
        return (number - offset.double) / scale.double
    }
}
