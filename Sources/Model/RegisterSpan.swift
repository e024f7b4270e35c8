/// The four Modbus tables (Modbus Application Protocol V1.1b3, section 4.3).
package enum RegisterTable: String, Sendable, CaseIterable, Comparable {
    case coil, discrete, input, holding

    /// Coils and discrete inputs hold one bit an address, the other two 16.
    package var isBits: Bool {
        self == .coil || self == .discrete
    }

    package var isWritable: Bool {
        self == .coil || self == .holding
    }

    /// The function code that reads this table.
    package var readFunction: UInt8 {
        switch self {
        case .coil: 1
        case .discrete: 2
        case .holding: 3
        case .input: 4
        }
    }

    /// The most addresses that one request may ask for (same document, sections 6.1 to 6.4).
    package var protocolLimit: Int {
        isBits ? 2000 : 125
    }

    package static func < (left: RegisterTable, right: RegisterTable) -> Bool {
        left.readFunction < right.readFunction
    }
}

/// Consecutive addresses of one table: what one read request asks for.
package struct RegisterSpan: Hashable, Sendable {
    package var table: RegisterTable
    /// Zero-based protocol address of the first register or bit.
    package var start: UInt16
    /// Number of registers or bits, at least 1.
    package var registerCount: Int

    package init(table: RegisterTable, start: UInt16, registerCount: Int) {
        self.table = table
        self.start = start
        self.registerCount = registerCount
    }

    /// The address behind the last one; 65,536 at the most for a valid span.
    package var end: Int {
        Int(start) + registerCount
    }

    package func overlaps(_ other: RegisterSpan) -> Bool {
        table == other.table && Int(start) < other.end && Int(other.start) < end
    }
}

extension RegisterSpan: CustomStringConvertible {
    /// `holding 100…124`
    package var description: String {
        registerCount == 1 ? "\(table) \(start)" : "\(table) \(start)…\(end - 1)"
    }
}
