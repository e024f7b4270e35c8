import Model

/// The key `write` of a point, or everything that is wrong with it.
struct WriteRuleParser {
    let field: Field
    let point: Point

    private static let keys = [
        "mode", "min", "max", "step", "table", "address", "order", "scale", "offset", "readback", "unset", "tolerance",
        "settle", "unlock", "commit", "rollback",
    ]
    private static let stepKeys = ["table", "address", "value"]
    /// Writes around the value; more is a program, not a setpoint.
    private static let stepLimit = 8

    private func fail(_ message: String) {
        field.fail("\(point.name): \(message)")
    }

    func parse() -> WriteRule? {
        guard let fields = field.fields(Self.keys, required: ["mode"]),
            let mode = fields["mode"]?.choice(WriteRule.Mode.allCases.map(\.rawValue)).flatMap(
                WriteRule.Mode.init(rawValue:)),
            let target = target(fields)
        else { return nil }
        var rule = WriteRule(
            mode: mode, low: fields["min"].flatMap(bound), high: fields["max"].flatMap(bound),
            step: fields["step"]?.number(),
            readbackTolerance: fields["tolerance"]?.number(),
            settle: fields["settle"]?.duration(in: .zero ... .seconds(60)) ?? .zero,
            target: target == point.span ? nil : target, readback: fields["readback"].flatMap(readback))
        rule.lowPoint = fields["min"].flatMap(boundPoint)
        rule.highPoint = fields["max"].flatMap(boundPoint)
        rule.encoding = encoding(fields)
        rule.unset = fields["unset"].map(unset)
        rule.unlock = fields["unlock"].map(steps) ?? []
        rule.commit = fields["commit"].map(steps) ?? []
        rule.rollback = fields["rollback"].map(steps) ?? []
        if rule.unlock.isEmpty, rule.commit.isEmpty, let rollback = fields["rollback"] {
            rollback.fail("\(point.name): write.rollback takes back unlock or commit, and there is neither")
        }
        check(mode, target)
        check(rule, fields)
        return rule
    }

    // MARK: - Bounds

    private func bound(_ field: Field) -> Double? {
        field.isMapping ? nil : field.number()
    }

    /// `{point: name}`: the device holds the bound itself.
    private func boundPoint(_ field: Field) -> String? {
        guard field.isMapping else { return nil }
        return field.fields(["point"], required: ["point"])?["point"]?.pointName()
    }

    // MARK: - Where

    /// Where the value is written: where it is read, unless `table` and `address` say otherwise.
    private func target(_ fields: Fields) -> RegisterSpan? {
        guard fields["table"] != nil || fields["address"] != nil else {
            if point.table.isWritable { return point.span }
            fail("the table \(point.table) cannot be written; only coil and holding can")
            return nil
        }
        let table = place(fields, writable: true)
        guard let table, let address = fields["address"]?.address() else {
            if fields["address"] == nil { fail("write.table needs write.address") }
            return nil
        }
        return RegisterSpan(table: table, start: UInt16(address), registerCount: point.encoding.registerCount)
    }

    /// The table of another place for the same value: bits stay bits, registers stay registers.
    private func place(_ fields: Fields, writable: Bool) -> RegisterTable? {
        let tables = RegisterTable.allCases.filter {
            $0.isBits == point.table.isBits && ($0.isWritable || !writable)
        }
        guard let field = fields["table"] else {
            return tables.contains(point.table) ? point.table : tables.first { $0.isWritable }
        }
        return field.choice(tables.map(\.rawValue)).flatMap(RegisterTable.init(rawValue:))
    }

    private func readback(_ field: Field) -> WriteRule.Readback? {
        if field.isText("none") { return .nowhere }
        guard field.isMapping else { return field.pointName().map { .point($0) } }
        guard let fields = field.fields(["table", "address"], required: ["address"]),
            let table = place(fields, writable: false), let address = fields["address"]?.address()
        else { return nil }
        return .place(table: table, protocolAddress: UInt16(address))
    }

    // MARK: - How

    /// How the value is written where that differs from how the point is read; nil where it does not.
    private func encoding(_ fields: Fields) -> Encoding? {
        var encoding = point.encoding
        if let order = fields["order"] {
            if point.table.isBits {
                order.fail("\(point.name): write.order is for registers, not for a \(point.table)")
            } else {
                _ = EncodingParser.setOrder(order, of: &encoding, point: point.name)
            }
        }
        for key in ["scale", "offset"] where fields[key] != nil && !point.encoding.type.isNumeric {
            fields[key]?.fail("\(point.name): write.\(key) is for numbers, not for \(point.encoding.type)")
        }
        encoding.scale = fields["scale"]?.decimal() ?? encoding.scale
        encoding.offset = fields["offset"]?.decimal() ?? encoding.offset
        if encoding.scale.mantissa == 0 { fields["scale"]?.fail("\(point.name): a scale of 0 makes every value 0") }
        return encoding == point.encoding ? nil : encoding
    }

    private func unset(_ field: Field) -> WriteRule.Unset {
        let words = "numbers, nan, sentinel and exception"
        var unset = WriteRule.Unset()
        for item in field.list(allowed: words, single: true) ?? [] {
            if item.isText("nan") || item.isText(".nan") || item.isText("sentinel") {
                unset.isNoValue = true
            } else if item.isText("exception") {
                unset.isException = true
            } else if !point.datatype.isNumeric {
                item.fail("\(point.name): unset of a \(point.datatype) is sentinel or exception, not \(item.written)")
            } else if let text = item.text(words), DecimalNumber(text) == nil {
                item.fail("\(point.name): unset takes \(words), not \(item.written)")
            } else if let number = item.number() {
                unset.numbers.append(number)
            }
        }
        return unset
    }

    // MARK: - Sequences

    private func steps(_ field: Field) -> [RegisterWrite] {
        let items = field.list(allowed: "{address, value}") ?? []
        if items.count > Self.stepLimit {
            field.fail("\(point.name): \(field.name) has \(items.count) writes; allowed are \(Self.stepLimit)")
        }
        return items.compactMap(step)
    }

    private func step(_ field: Field) -> RegisterWrite? {
        guard
            let fields = field.fields(
                Self.stepKeys + (field.instance == nil ? [] : ["moves"]), required: ["address", "value"]),
            let address = fields["address"].flatMap({ stepAddress($0, field, moves: fields["moves"]) }),
            let value = fields["value"]
        else { return nil }
        let table = fields["table"]?.choice(RegisterTable.allCases.filter(\.isWritable).map(\.rawValue)) ?? "holding"
        if table == RegisterTable.coil.rawValue { return value.bool().map { .coil(UInt16(address), isOn: $0) } }
        let words = value.list(allowed: "words", single: true)?.compactMap { $0.integer(in: 0...65_535) } ?? []
        guard let first = words.first, words.count <= 16, address + words.count <= 65_536 else {
            value.fail("\(point.name): a step writes 1 to 16 words up to address 65535")
            return nil
        }
        return words.count == 1
            ? .register(UInt16(address), UInt16(first)) : .registers(UInt16(address), words.map { UInt16($0) })
    }

    /// A lock may belong to each copy of a repeated block or to the whole device: only the writer of the profile knows, and
    /// a write to the wrong register is no guess to make.
    private func stepAddress(_ address: Field, _ step: Field, moves: Field?) -> Int? {
        guard step.instance != nil else { return address.address() }
        guard let moves else {
            step.fail(
                "\(point.name): in a repeated block a step says moves: true (each copy has that register) or moves: false"
            )
            return nil
        }
        return moves.bool().flatMap { $0 ? address.address() : address.integer(in: 0...65_535) }
    }

    // MARK: - Together

    private func check(_ mode: WriteRule.Mode, _ target: RegisterSpan) {
        if target.end > 65_536 { fail("write: \(target) goes beyond address 65535") }
        switch mode {
        case .single where target.registerCount > 1:
            fail(
                "\(point.encoding.type) takes \(target.registerCount) registers and mode single writes one; use multiple"
            )
        case .mask where target.table.isBits:
            fail("mode mask is for bits of a holding register; a coil takes single or multiple")
        case .mask where target.registerCount > 1:
            fail("mode mask changes one register, and this value takes \(target.registerCount); use multiple")
        case .multiple where target.registerCount > 123:
            fail("one request writes 123 registers at the most, not \(target.registerCount)")
        case .single, .mask, .multiple: break
        }
    }

    private func checkStep(_ bound: Double, _ field: Field, isLow: Bool, _ rule: WriteRule) {
        var written = point
        written.write = rule
        written.write?.readback = nil
        guard let held = SetpointPlan(written, of: [])?.step(inside: bound, isLow: isLow) else { return }
        field.problems.warning(
            field.place,
            """
            \(point.name): write.\(field.name) \(field.written) lies between two raw steps; the \(isLow ? "least" : "largest") \
            value that can be written is \(PointValue.double(held).words)
            """)
    }

    private func check(_ rule: WriteRule, _ fields: Fields) {
        if rule.readback == .nowhere {
            for key in ["tolerance", "unset"] {
                fields[key]?.fail(
                    "\(point.name): write.\(key) is about what is read back; with readback: none nothing is")
            }
        }
        if !point.datatype.isNumeric {
            for key in ["min", "max", "step", "tolerance"] {
                fields[key]?.fail("\(point.name): write.\(key) is for numbers, not for \(point.datatype)")
            }
            return
        }
        if let low = rule.low, let high = rule.high, low > high { fail("write.min is above write.max") }
        if let step = rule.step, step <= 0 { fields["step"]?.fail("\(point.name): write.step must be above 0") }
        if let tolerance = rule.readbackTolerance, tolerance < 0 {
            fields["tolerance"]?.fail("\(point.name): write.tolerance must be 0 or more")
        }
        for (key, bound) in [("min", rule.low), ("max", rule.high)] {
            guard let bound, let boundField = fields[key] else { continue }
            if let limits = point.limits, !limits.contains(bound) {
                boundField.fail("\(point.name): write.\(key) is outside limits, \(limits.low) to \(limits.high)")
            }
            guard point.scaleReference == nil else { continue }
            checkStep(bound, boundField, isLow: key == "min", rule)
            do throws(EncodingError) {
                _ = try (rule.encoding ?? point.encoding).encodeField(.double(bound))
            } catch {
                boundField.fail(
                    "\(point.name): write.\(key) does not fit the registers (\(point.encoding.type) with this scale and offset)"
                )
            }
        }
    }
}
