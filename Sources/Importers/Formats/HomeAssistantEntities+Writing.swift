import Model

extension HomeAssistantEntities {
    private static let switchKeys: Set<String> = ["write_type", "command_on", "command_off", "verify"]
    private static let climateKeys: Set<String> = [
        "data_type", "count", "structure", "scale", "offset", "swap", "target_temp_register", "max_temp", "min_temp",
        "temperature_unit", "hvac_mode_register", "hvac_onoff_register", "fan_mode_register",
        "target_temp_write_registers",
    ]

    // MARK: - Switches, lights, fans

    func `switch`(_ entity: SourceNode) -> [DraftPoint] {
        reporter.keys(entity, taken: Self.common.union(Self.switchKeys), ignored: Self.presentation)
        let title = title(entity)
        guard let table = table(entity["write_type"], default: .holding, title), table.isWritable,
            let address = reporter.address(entity["address"], of: title, in: entity)
        else { return [] }
        let isMultiple = entity["write_type"]?.words?.hasSuffix("s") == true
        var point = DraftPoint(title, at: entity, table: table, address: address, type: .uint16, kind: .state)
        point.every = period(entity)
        point.write = DraftWrite(mode: isMultiple ? .multiple : .single)
        let on = entity["command_on"]?.integer ?? 1
        let off = entity["command_off"]?.integer ?? 0
        if table == .holding {
            guard on != off, (0...65_535).contains(on), (0...65_535).contains(off) else {
                reporter.leftOut(
                    entity, "'\(title)': commands \(on) and \(off) cannot be told apart; the point is left out")
                return []
            }
            point.enumeration = [
                EnumerationLabel(code: Int64(off), label: "off"), EnumerationLabel(code: Int64(on), label: "on"),
            ].sorted { $0.code < $1.code }
        }
        guard let verify = entity["verify"], verify.isMap else {
            reporter.assumed(
                entity, "'\(title)' is written and never read by its source; it is read where it is written")
            return [point]
        }
        return verified(point, verify, on: on, off: off)
    }

    /// A state that is read elsewhere is a point of its own, by which a write is confirmed.
    private func verified(_ point: DraftPoint, _ verify: SourceNode, on: Int, off: Int) -> [DraftPoint] {
        var point = point
        let address = verify["address"]?.integer ?? point.protocolAddress
        guard let table = table(verify["input_type"], default: point.table, point.title) else { return [point] }
        if address == point.protocolAddress, table == point.table { return [point] }
        var state = DraftPoint(
            point.title + " state", at: verify, table: table, address: address, type: .uint16, kind: .state)
        state.every = point.every
        guard state.table.isBits == point.table.isBits,
            table.isBits || (verify["state_on"]?.integer ?? on, verify["state_off"]?.integer ?? off) == (on, off)
        else {
            reporter.leftOut(
                verify,
                "'\(point.title)': its state is read as another kind of value and cannot confirm a write; taken as a point of its own"
            )
            return [point, state]
        }
        state.enumeration = point.enumeration
        state.key = "\(point.title) \(table) \(address)"
        point.write?.readbackKey = state.key
        return [point, state]
    }

    // MARK: - Climates

    func climate(_ entity: SourceNode) -> [DraftPoint] {
        reporter.keys(
            entity, taken: Self.common.union(Self.climateKeys), ignored: Self.presentation.union(["temp_step"]))
        let title = title(entity)
        guard let table = table(entity["input_type"], default: .holding, title), !table.isBits,
            let address = reporter.address(entity["address"], of: title, in: entity),
            let shape = HomeAssistantShape(entity, default: .float32, reporter: reporter, title: title)
        else { return [] }
        let unit = entity["temperature_unit"]?.words?.uppercased().contains("F") == true ? "[degF]" : "Cel"
        var current = DraftPoint(title + " current temp", at: entity, table: table, address: address, type: shape.type)
        shape.apply(to: &current)
        current.unit = unit
        current.every = period(entity)
        var points = [current]
        if let target = entity["target_temp_register"] {
            let register = target.itemsOrSelf.first
            if target.isList, target.items.count > 1 {
                reporter.leftOut(target, "'\(title)': a target of its own for each mode; only the first one is taken")
            }
            if let address = reporter.address(register, of: title, in: target) {
                points.append(self.target(current, title, address, entity))
            }
        }
        for key in ["hvac_mode_register", "fan_mode_register"] {
            if let mode = entity[key] { points += self.mode(mode, "\(title) \(key.dropLast(9))", entity) }
        }
        if let register = entity["hvac_onoff_register"],
            let address = reporter.address(register, of: title, in: register)
        {
            var onOff = DraftPoint(
                title + " on off", at: register, table: .holding, address: address, type: .uint16, kind: .state)
            onOff.every = period(entity)
            onOff.enumeration = [EnumerationLabel(code: 0, label: "off"), EnumerationLabel(code: 1, label: "on")]
            onOff.write = DraftWrite(mode: .single)
            points.append(onOff)
        }
        return points
    }

    private func target(_ current: DraftPoint, _ title: String, _ address: Int, _ entity: SourceNode) -> DraftPoint {
        var target = current
        target.title = title + " target temp"
        target.table = .holding
        target.protocolAddress = address
        target.kind = .setpoint
        let isMultiple = entity["target_temp_write_registers"]?.bool == true || target.registerCount > 1
        target.write = DraftWrite(mode: isMultiple ? .multiple : .single)
        target.write?.low = entity["min_temp"]?.decimal ?? DecimalNumber(mantissa: 5)
        target.write?.high = entity["max_temp"]?.decimal ?? DecimalNumber(mantissa: 35)
        if entity["min_temp"] == nil || entity["max_temp"] == nil {
            reporter.assumed(entity, "'\(title)' has no min_temp or max_temp; Home Assistant's 5 and 35 are taken")
        }
        return target
    }

    /// Modes as codes of one register.
    private func mode(_ node: SourceNode, _ title: String, _ entity: SourceNode) -> [DraftPoint] {
        guard let address = reporter.address(node["address"]?.itemsOrSelf.first, of: title, in: node) else { return [] }
        var point = DraftPoint(title, at: node, table: .holding, address: address, type: .uint16, kind: .state)
        point.every = period(entity)
        for (name, value) in node["values"]?.members ?? [] {
            for code in value.itemsOrSelf.compactMap(\.integer) where (0...65_535).contains(code) {
                let label = name.hasPrefix("state_") ? String(name.dropFirst(6)) : name
                point.enumeration.append(EnumerationLabel(code: Int64(code), label: label))
            }
        }
        point.enumeration.sort { $0.code < $1.code }
        if !point.enumeration.isEmpty {
            point.write = DraftWrite(mode: node["write_registers"]?.bool == true ? .multiple : .single)
        }
        return [point]
    }
}
