package import Model

/// A profile as JSON, resolved: what it extends and repeats is written out. Keys and values as in the file; periods in
/// milliseconds.
package struct ProfileDocument {
    private let profile: DeviceProfile

    package init(_ profile: DeviceProfile) {
        self.profile = profile
    }

    package var json: [UInt8] { value.bytes }

    /// `{"profile","title","manufacturer","model","revision","source","serial","limits","sunspec","identify",
    /// "points":{name: …},"tests"}`; `identify` in words, `tests` is their number. `sunspec` has numbers of models, absent
    /// where there are none; their points are those of a device that has each once.
    package var value: JSONValue {
        let serial = profile.factorySerial.map { serial in
            JSONValue.compact([
                ("baud", .integer(serial.baud)), ("format", .string(serial.format.name)),
                ("unit", .integer(serial.unit)),
            ])
        }
        return .compact([
            ("profile", .string(profile.id)), ("title", .string(profile.title)),
            ("manufacturer", .string(profile.manufacturer)), ("model", .string(profile.model)),
            ("revision", .integer(profile.revision)), ("source", .string(profile.source)), ("serial", serial ?? .null),
            ("limits", limits), ("sunspec", models),
            ("identify", .array(profile.identity.map { .string($0.expected) })),
            ("points", .object(profile.points.map { .init($0.name, point($0)) })),
            ("tests", .integer(profile.tests.count)),
        ])
    }

    private var models: JSONValue {
        profile.sunSpec.map { .array($0.wanted.map { .integer($0) }) } ?? .null
    }

    private var limits: JSONValue {
        let limits = profile.limits
        return .compact([
            ("registers", .integer(limits.registerCount)), ("bits", .integer(limits.bitCount)),
            ("gap", limits.gap.map { .integer($0) } ?? .null), ("pause_ms", .integer(limits.pause.milliseconds)),
            ("timeout_ms", .integer(limits.timeout.milliseconds)),
        ])
    }

    private func point(_ point: Point) -> JSONValue {
        let sync: JSONValue = .optional(point.syncGroup)
        let meaning: [(String, JSONValue)] = [
            ("unit", .string(point.unit)), ("kind", .string(point.kind.rawValue)),
            ("datatype", .string(point.datatype.rawValue)), ("range", range(point.range)),
            ("limits", range(point.limits)), ("deadband", point.deadband.map { .double($0) } ?? .null),
            ("every_ms", .integer(point.every.milliseconds)), ("sync", sync),
            ("destructive_read", point.isDestructiveRead ? .bool(true) : .null),
            ("raw", point.publishesRaw ? .bool(true) : .null), ("description", .optional(point.summary)),
            ("write", point.write.map { write($0, point) } ?? .null),
        ]
        let labels = point.enumeration.map { JSONValue.Member(String($0.code), .string($0.label)) }
        return .compact(place(point) + [("enum", labels.isEmpty ? .null : .object(labels))] + meaning)
    }

    private func place(_ point: Point) -> [(String, JSONValue)] {
        let encoding = point.encoding
        let bits = encoding.bits.map { bits in
            JSONValue.string(bits.count == 1 ? "\(bits.lowerBound)" : "\(bits.lowerBound)..\(bits.upperBound)")
        }
        let scale: JSONValue =
            switch point.scaleReference {
            case .exponent(let name)?: .compact([("exponent", .string(name))])
            case .factor(let name)?: .compact([("factor", .string(name))])
            case nil: .null
            }
        let isDate = encoding.type == .datetime
        return [
            ("table", .string(point.table.rawValue)), ("address", .integer(point.protocolAddress)),
            ("parts", point.parts.map(parts) ?? .null),
            ("count", .integer(encoding.registerCount)), ("type", .string(encoding.type.rawValue)),
            ("order", order(encoding)),
            ("charset", encoding.charset == .any ? .null : .string(encoding.charset.rawValue)),
            ("layout", isDate ? .string(encoding.datetime.rawValue) : .null),
            ("bits", bits ?? .null), ("scale", encoding.scale == .one ? .null : .number(encoding.scale)),
            ("offset", encoding.offset.mantissa == 0 ? .null : .number(encoding.offset)),
            ("scale_from", scale), ("transform", .optional(encoding.transform?.rawValue)),
            (
                "sentinels",
                encoding.sentinels.isEmpty
                    ? .null : .array(encoding.sentinels.map { .string("0x" + String($0, radix: 16)) })
            ),
            ("sentinels_mean", encoding.sentinelReason == .sentinel ? .null : .string(encoding.sentinelReason.code)),
        ]
    }

    private func parts(_ parts: ValueParts) -> JSONValue {
        .array(
            parts.items.map { part in
                .compact([
                    ("table", .string(part.span.table.rawValue)), ("address", .integer(part.span.start)),
                    ("count", .integer(part.span.registerCount)),
                    ("type", parts.isSum ? .string(part.encoding.type.rawValue) : .null),
                    ("scale", parts.isSum ? .number(part.scale) : .null),
                ])
            })
    }

    private func order(_ encoding: Encoding) -> JSONValue {
        switch encoding.type {
        case .string, .int8, .uint8: .string(encoding.characters.rawValue)
        case .bool: .null
        case .int16, .uint16, .int24, .uint24, .int32, .uint32, .int48, .uint48, .int64, .uint64, .float16, .float32,
            .float64, .bcd16, .bcd32, .datetime, .sm16, .sm32, .offset16, .offset32, .decade32, .udecade32:
            .string(encoding.order.name(registerCount: encoding.registerCount))
        case .mod10k: .string(encoding.order.name)
        }
    }

    private func write(_ rule: WriteRule, _ point: Point) -> JSONValue {
        let target = rule.target ?? point.span
        return .compact([
            ("mode", .string(rule.mode.rawValue)), ("table", .string(target.table.rawValue)),
            ("address", .integer(target.start)), ("min", bound(rule.low, rule.lowPoint)),
            ("max", bound(rule.high, rule.highPoint)), ("step", rule.step.map { .double($0) } ?? .null),
            ("order", rule.encoding.map { $0.order == point.encoding.order ? .null : order($0) } ?? .null),
            ("scale", rule.encoding.map { .number($0.scale) } ?? .null),
            ("offset", rule.encoding.map { .number($0.offset) } ?? .null),
            ("readback", rule.readback.map(readback) ?? .null), ("unset", rule.unset.map(unset) ?? .null),
        ])
    }

    private func readback(_ readback: WriteRule.Readback) -> JSONValue {
        switch readback {
        case .point(let name): .string(name)
        case .place(let table, let address):
            .compact([("table", .string(table.rawValue)), ("address", .integer(address))])
        case .nowhere: .string("none")
        }
    }

    private func unset(_ unset: WriteRule.Unset) -> JSONValue {
        .array(
            unset.numbers.map { .double($0) } + (unset.isNoValue ? [.string("nan")] : [])
                + (unset.isException ? [.string("exception")] : []))
    }

    private func bound(_ number: Double?, _ point: String?) -> JSONValue {
        point.map { .compact([("point", .string($0))]) } ?? number.map { .double($0) } ?? .null
    }

    private func range(_ range: NumericRange?) -> JSONValue {
        range.map { .array([.double($0.low), .double($0.high)]) } ?? .null
    }
}
