/// How to recognise the device (profile key `identify`). All checks of a profile must hold. Whoever asks reads ``span``, or
/// asks by FC43/14 where there is none, and gives the answer to ``verdict(words:)`` or ``verdict(objects:)``.
package enum IdentityCheck: Hashable, Sendable {
    /// - within: what has to be read in one request, where the device does not give the registers of the point alone.
    case register(Point, matches: IdentityMatch, within: RegisterSpan? = nil)
    /// Read Device Identification, FC43/14.
    case deviceID(vendor: TextMatch?, product: TextMatch?)

    package static func register(_ point: Point, equals value: PointValue) -> IdentityCheck {
        .register(point, matches: .anyOf([value]))
    }
}

/// Which values of a register are those of the device.
package enum IdentityMatch: Hashable, Sendable {
    case anyOf([PointValue])
    /// Texts that begin with one of these.
    case prefix([String])
    /// Unscaled numbers, of which only the bits of the mask count.
    case masked([UInt64], mask: UInt64)

    fileprivate func holds(_ words: [UInt16], _ encoding: Encoding) -> Bool {
        if case .masked(let numbers, let mask) = self {
            let raw = encoding.order.assemble(words.span)
            return numbers.contains { $0 & mask == raw & mask }
        }
        guard case .value(let value) = encoding.decode(words.span) else { return false }
        switch (self, value) {
        case (.anyOf(let wanted), _): return wanted.contains { Self.isSame($0, value) }
        case (.prefix(let wanted), .string(let text)): return wanted.contains { text.hasPrefix($0) }
        case (.prefix, _), (.masked, _): return false
        }
    }

    private static func isSame(_ wanted: PointValue, _ read: PointValue) -> Bool {
        if case .string(let wanted) = wanted, case .string(let read) = read { return wanted == read }
        guard let wanted = wanted.number, let read = read.number else { return false }
        return wanted == read
    }

    /// A value that matches.
    fileprivate var example: PointValue {
        switch self {
        case .anyOf(let values): values.first ?? .null
        case .prefix(let texts): .string(texts.first ?? "")
        case .masked(let numbers, let mask): PointValue(unsigned: (numbers.first ?? 0) & mask)
        }
    }

    fileprivate var words: String {
        switch self {
        case .anyOf(let values): "= " + values.map(\.words).joined(separator: " or ")
        case .prefix(let texts): "begins with " + texts.map { "'\($0)'" }.joined(separator: " or ")
        case .masked(let numbers, let mask):
            "& 0x\(String(mask, radix: 16)) = " + numbers.map { "0x" + String($0, radix: 16) }.joined(separator: " or ")
        }
    }
}

/// What a device may say of itself, in any case of letters.
package enum TextMatch: Hashable, Sendable, ExpressibleByStringLiteral {
    /// One of these is contained in it.
    case contains([String])
    /// It begins with one of these.
    case prefix([String])

    package init(stringLiteral text: String) {
        self = .contains([text])
    }

    fileprivate func holds(_ said: String?) -> Bool {
        guard let said = said?.lowercased() else { return false }
        switch self {
        case .contains(let wanted): return wanted.contains { said.contains($0.lowercased()) }
        case .prefix(let wanted): return wanted.contains { said.hasPrefix($0.lowercased()) }
        }
    }

    /// A text for which it holds.
    fileprivate var example: String {
        switch self {
        case .contains(let texts), .prefix(let texts): texts.first ?? ""
        }
    }

    fileprivate var words: String {
        switch self {
        case .contains(let texts): texts.joined(separator: " or ")
        case .prefix(let texts): texts.map { $0 + "…" }.joined(separator: " or ")
        }
    }
}

/// What one identity check made of an answer.
package enum IdentityVerdict: Hashable, Sendable {
    case holds
    /// Both in words, for whoever has to look for the device.
    case differs(expected: String, found: String)
}

extension IdentityCheck {
    /// What has to be read for it, in one request; nil where the device is asked by FC43/14.
    package var span: RegisterSpan? {
        switch self {
        case .register(let point, _, let block): block ?? point.span
        case .deviceID: nil
        }
    }

    /// - Parameter words: the registers of ``span``; fewer or more are no match.
    package func verdict(words: [UInt16]) -> IdentityVerdict {
        guard case .register(let point, let match, _) = self, let span else { return .holds }
        let first = Int(point.protocolAddress) - Int(span.start)
        guard words.count == span.registerCount, first >= 0, first + point.encoding.registerCount <= words.count else {
            return differs(Self.hex(words))
        }
        let own = Array(words[first..<first + point.encoding.registerCount])
        if match.holds(own, point.encoding) { return .holds }
        guard point.summary == nil, case .value(let value) = point.encoding.decode(own.span) else {
            return differs(Self.hex(own))
        }
        return differs(value.words)
    }

    /// - Parameter objects: what the device said by FC43/14, by object id: 0 is the vendor, 1 the product.
    package func verdict(objects: [UInt8: String]) -> IdentityVerdict {
        guard case .deviceID(let vendor, let product) = self else { return .holds }
        if vendor?.holds(objects[0]) ?? true, product?.holds(objects[1]) ?? true { return .holds }
        let said = [objects[0], objects[1]].compactMap(\.self).joined(separator: " ")
        return differs(said.isEmpty ? "nothing" : "'\(said)'")
    }

    /// What the right device says, in words.
    package var expected: String {
        switch self {
        case .register(let point, let match, _):
            point.summary.map { "\($0) at \(point.span)" } ?? "\(point.span) \(match.words)"
        case .deviceID(let vendor, let product):
            "device id '" + [vendor, product].compactMap { $0?.words }.joined(separator: " ") + "'"
        }
    }

    private func differs(_ found: String) -> IdentityVerdict {
        .differs(expected: expected, found: found)
    }

    private static func hex(_ words: [UInt16]) -> String {
        guard !words.isEmpty else { return "nothing" }
        return words.map { word in
            let digits = String(word, radix: 16, uppercase: true)
            return "0x" + String(repeating: "0", count: 4 - digits.count) + digits
        }
        .joined(separator: " ")
    }
}

extension DeviceProfile {
    /// What a simulated device answers to Read Device Identification, by object; empty where no check asks for that.
    package var identityObjects: [UInt8: String] {
        for case .deviceID(let vendor, let product) in identity {
            return [0: vendor?.example ?? manufacturer, 1: product?.example ?? model, 2: "1.0"]
        }
        return [:]
    }

    /// Points with values that make every check of registers hold: what a simulated device has besides its own points.
    /// Registers that are only read along with them are there, too, with 0.
    package var identityExamples: [(point: Point, value: PointValue)] {
        var examples: [(point: Point, value: PointValue)] = []
        for check in identity {
            guard case .register(let point, let match, _) = check else { continue }
            examples.append((point, match.example))
        }
        var taken = Set((points + examples.map(\.point)).flatMap(\.spans).flatMap(RegisterPlace.all))
        for place in identity.compactMap(\.span).flatMap(RegisterPlace.all) where taken.insert(place).inserted {
            let filler = Point(
                name: "", table: place.table, protocolAddress: place.address, encoding: Encoding(type: .uint16))
            examples.append((filler, .int(0)))
        }
        return examples.enumerated().map { index, example in
            var example = example
            example.point.name = "identify\(index)"
            return example
        }
    }
}

/// One register.
private struct RegisterPlace: Hashable {
    var table: RegisterTable
    var address: UInt16

    static func all(of span: RegisterSpan) -> [RegisterPlace] {
        (Int(span.start)..<span.end).map {
            RegisterPlace(table: span.table, address: UInt16(truncatingIfNeeded: $0))
        }
    }
}

extension PointValue {
    /// For messages.
    package var words: String {
        switch self {
        case .null: "no value"
        case .bool, .int, .uint, .float, .double, .decimal: plain
        case .string(let value): "'\(value)'"
        }
    }
}
