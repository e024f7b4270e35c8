/// How to recognise the device (profile key `identify`).
package enum IdentityCheck: Hashable, Sendable {
    case register(Point, equals: PointValue)
    /// Read Device Identification, FC43/14: each text is to be contained in what the device says, in any case of letters.
    case deviceID(vendor: String?, product: String?)
}

/// What one identity check made of an answer.
package enum IdentityVerdict: Hashable, Sendable {
    case holds
    /// Both in words, for whoever has to look for the device.
    case differs(expected: String, found: String)
}

extension IdentityCheck {
    /// What has to be read for it; nil where the device is asked by FC43/14.
    package var span: RegisterSpan? {
        switch self {
        case .register(let point, _): point.span
        case .deviceID: nil
        }
    }

    /// - Parameter words: the registers of ``span``; fewer or more are no match.
    package func verdict(words: [UInt16]) -> IdentityVerdict {
        guard case .register(let point, let wanted) = self else { return .holds }
        guard words.count == point.encoding.registerCount, case .value(let value) = point.encoding.decode(words.span)
        else {
            return differs(Self.hex(words))
        }
        if case .string(let text) = wanted, case .string(let read) = value, text == read { return .holds }
        if let number = wanted.number, let read = value.number, number == read { return .holds }
        return differs(point.summary == nil ? value.words : Self.hex(words))
    }

    /// - Parameter objects: what the device said by FC43/14, by object id: 0 is the vendor, 1 the product.
    package func verdict(objects: [UInt8: String]) -> IdentityVerdict {
        guard case .deviceID(let vendor, let product) = self else { return .holds }
        if Self.contains(objects[0], vendor), Self.contains(objects[1], product) { return .holds }
        let said = [objects[0], objects[1]].compactMap { $0 }.joined(separator: " ")
        return differs(said.isEmpty ? "nothing" : "'\(said)'")
    }

    /// What the right device says, in words.
    package var expected: String {
        switch self {
        case .register(let point, let value):
            point.summary.map { "\($0) at \(point.span)" } ?? "\(point.span) = \(value.words)"
        case .deviceID(let vendor, let product):
            "device id '" + [vendor, product].compactMap { $0 }.joined(separator: " ") + "'"
        }
    }

    private func differs(_ found: String) -> IdentityVerdict {
        .differs(expected: expected, found: found)
    }

    private static func contains(_ said: String?, _ wanted: String?) -> Bool {
        guard let wanted else { return true }
        return said?.lowercased().contains(wanted.lowercased()) ?? false
    }

    private static func hex(_ words: [UInt16]) -> String {
        guard !words.isEmpty else { return "nothing" }
        return words.map { word in
            let digits = String(word, radix: 16, uppercase: true)
            return "0x" + String(repeating: "0", count: 4 - digits.count) + digits
        }.joined(separator: " ")
    }
}

extension PointValue {
    /// For messages.
    package var words: String {
        switch self {
        case .null: "no value"
        case .bool(let value): "\(value)"
        case .int(let value): "\(value)"
        case .uint(let value): "\(value)"
        case .float(let value): "\(value)"
        case .double(let value): "\(value)"
        case .decimal(let value): value.description
        case .string(let value): "'\(value)'"
        }
    }
}
