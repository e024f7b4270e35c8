/// A closed interval of numbers in the unit of the point.
package struct NumericRange: Hashable, Sendable {
    package var low: Double
    package var high: Double

    package init(low: Double, high: Double) {
        self.low = low
        self.high = high
    }

    package func contains(_ value: Double) -> Bool {
        low <= value && value <= high
    }
}

/// A raw code and what it means.
package struct EnumerationLabel: Hashable, Sendable {
    package var code: Int64
    package var label: String

    package init(code: Int64, label: String) {
        self.code = code
        self.label = label
    }
}

/// Where a register-held scale comes from: another point of the same device.
package enum ScaleReference: Hashable, Sendable {
    /// The point holds a power of ten (SunSpec `sunssf`).
    case exponent(point: String)
    /// The point holds a factor.
    case factor(point: String)

    package var point: String {
        switch self {
        case .exponent(let point), .factor(let point): point
        }
    }
}

/// One value of a device: where it is read, how it is decoded, what it means. Profiles define points, the site file may
/// override single keys; what the engine gets is complete.
package struct Point: Hashable, Sendable {
    /// The name within the device; `device/name` is the id of the reading.
    package var name: String
    package var table: RegisterTable
    /// Zero-based protocol address of the first register or bit.
    package var protocolAddress: UInt16
    package var encoding: Encoding
    /// Where the value is, if not in consecutive registers from ``protocolAddress`` on.
    package var parts: ValueParts?
    package var scaleReference: ScaleReference?
    /// UCUM code, `1` for none.
    package var unit: String
    package var kind: PointKind
    package var enumeration: [EnumerationLabel]
    /// Normal operating range: outside is `uncertain`.
    package var range: NumericRange?
    /// Physically possible: outside is `bad`.
    package var limits: NumericRange?
    /// A value that moved by no more than this since the last published one is not published.
    package var deadband: Double?
    /// The poll period.
    package var every: Duration
    /// Points with the same name are read in one request.
    package var syncGroup: String?
    package var write: WriteRule?
    /// Reading it changes the device: never prefetched or bridged over.
    package var isDestructiveRead: Bool
    /// Whether readings carry the register words.
    package var publishesRaw: Bool
    package var summary: String?

    package init(
        name: String, table: RegisterTable, protocolAddress: UInt16, encoding: Encoding,
        scaleReference: ScaleReference? = nil, unit: String = "1", kind: PointKind = .measurement,
        enumeration: [EnumerationLabel] = [], range: NumericRange? = nil, limits: NumericRange? = nil,
        deadband: Double? = nil, every: Duration = .seconds(1), syncGroup: String? = nil, write: WriteRule? = nil,
        isDestructiveRead: Bool = false, publishesRaw: Bool = false, summary: String? = nil
    ) {
        self.name = name
        self.table = table
        self.protocolAddress = protocolAddress
        self.encoding = encoding
        self.scaleReference = scaleReference
        self.unit = unit
        self.kind = kind
        self.enumeration = enumeration
        self.range = range
        self.limits = limits
        self.deadband = deadband
        self.every = every
        self.syncGroup = syncGroup
        self.write = write
        self.isDestructiveRead = isDestructiveRead
        self.publishesRaw = publishesRaw
        self.summary = summary
    }

    /// The registers of the value; of a value in several places the first of them.
    package var span: RegisterSpan {
        parts?.items.first?.span
            ?? RegisterSpan(table: table, start: protocolAddress, registerCount: encoding.registerCount)
    }

    /// All registers of the value: one span, or one for each place.
    package var spans: [RegisterSpan] { parts?.items.map(\.span) ?? [span] }

    /// The published type; a register-held exponent makes integers float64, and so does a sum of parts.
    package var datatype: Datatype {
        if parts?.isSum ?? false { return .float64 }
        guard scaleReference != nil, encoding.datatype.isNumeric else { return encoding.datatype }
        return encoding.datatype == .float32 ? .float32 : .float64
    }

    /// How long a consumer may hear nothing of a healthy point: one period, or sixty where a deadband filters.
    package var expectedSilence: Duration {
        deadband == nil ? every : every * 60
    }
}
