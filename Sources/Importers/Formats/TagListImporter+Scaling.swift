import Model

extension TagListImporter {
    /// - Returns: false when the point was left out.
    func scaling(_ point: inout DraftPoint, _ cell: (String) -> SourceNode?) -> Bool {
        if let scale = cell("scale") {
            guard let number = decimal(scale) else {
                reporter.leftOut(scale, "'\(point.title)': \(scale.written) is no scale; the point is left out")
                return false
            }
            point.scale = number
        }
        if let offset = cell("offset") {
            guard let number = decimal(offset) else {
                reporter.leftOut(offset, "'\(point.title)': \(offset.written) is no offset; the point is left out")
                return false
            }
            point.offset = number
        }
        guard linear(&point, cell) else { return false }
        let isNegated = cell("negate")?.bool == true
        if isNegated {
            point.scale = point.scale.negated
            point.offset = point.offset.negated
        }
        guard point.type.isNumeric, point.bits == nil else {
            point.scale = .one
            point.offset = .zero
            return true
        }
        return true
    }

    /// `0.1`, also as `0,1`, which many lists of Central Europe say.
    private func decimal(_ node: SourceNode) -> DecimalNumber? {
        if let number = node.decimal { return number }
        guard let text = node.words, text.count(where: { $0 == "," }) == 1, !text.contains("."),
            let number = DecimalNumber(String(text.map { $0 == "," ? "." : $0 }))
        else { return nil }
        reporter.assumed(node, "\(node.written) is taken as \(number)")
        return number
    }

    private func linear(_ point: inout DraftPoint, _ cell: (String) -> SourceNode?) -> Bool {
        guard let node = cell("scaling"), let kind = node.words?.lowercased(), kind != "none" else { return true }
        guard kind == "linear" else {
            reporter.leftOut(node, "'\(point.title)': the scaling '\(kind)' has no counterpart; the point is left out")
            return false
        }
        let numbers = ["raw_low", "raw_high", "scaled_low", "scaled_high"].map { cell($0).flatMap(decimal) }
        guard let rawLow = numbers[0], let rawHigh = numbers[1], let low = numbers[2], let high = numbers[3],
            let line = Ratio.line(raw: (rawLow, rawHigh), scaled: (low, high))
        else {
            reporter.leftOut(
                node, "'\(point.title)': linear scaling needs raw and scaled bounds that differ; the point is left out")
            return false
        }
        if !line.isExact {
            reporter.assumed(
                node, "'\(point.title)': the scale \(line.scale) is rounded to 9 digits")
        }
        point.scale = line.scale
        point.offset = line.offset
        for field in ["clamp_low", "clamp_high"] where cell(field)?.bool == true {
            reporter.leftOut(node, "'\(point.title)': values are not clamped; add limits where they make sense")
        }
        return true
    }
}

/// A Modbus address as register lists write it.
struct TagAddress {
    var table: RegisterTable
    var protocolAddress: Int
    var bit: Int?
    /// Bytes, from `400100.20H`.
    var stringLength: Int?
    /// `L` behind the length: the low byte of a register comes first.
    var isLowFirst = false

    /// - Parameter table: in words or as a function code; without it the first digit says it, and the rest counts from 1.
    init?(_ text: String, table named: String?) {
        var parts = text.split(separator: ".", omittingEmptySubsequences: false).map(String.init)
        guard let first = parts.first, parts.count <= 2 else { return nil }
        parts.removeFirst()
        if let named {
            guard let table = Self.table(named), let address = Words.integer(first), address >= 0 else { return nil }
            (self.table, protocolAddress) = (table, address)
        } else {
            let tables: [Character: RegisterTable] = ["0": .coil, "1": .discrete, "3": .input, "4": .holding]
            guard first.utf8.count == 5 || first.utf8.count == 6, first.utf8.allSatisfy({ (0x30...0x39).contains($0) }),
                let table = first.first.flatMap({ tables[$0] }), let number = Int(first.dropFirst(), in: 1...65_536)
            else { return nil }
            (self.table, protocolAddress) = (table, number - 1)
        }
        guard let suffix = parts.first else { return }
        if let last = suffix.uppercased().last, last == "H" || last == "L",
            let length = Int(suffix.dropLast(), in: 1...1000)
        {
            stringLength = length
            isLowFirst = last == "L"
        } else if let bit = Int(suffix, in: 0...15), !self.table.isBits {
            self.bit = bit
        } else {
            return nil
        }
    }

    private static func table(_ text: String) -> RegisterTable? {
        let name = text.lowercased().filter(\.isLetter)
        switch name {
        case "coil", "coils", "do": return .coil
        case "discrete", "discreteinput", "discreteinputs", "di": return .discrete
        case "input", "inputregister", "inputregisters", "ir", "ai": return .input
        case "holding", "holdingregister", "holdingregisters", "hr", "ao": return .holding
        case "", "fc", "f": break
        default: return nil
        }
        switch Int(text.filter(\.isNumber), in: 1...4) {
        case 1: return .coil
        case 2: return .discrete
        case 3: return .holding
        case 4: return .input
        default: return nil
        }
    }
}
