import Model

/// What a source says about one value, before it has a name of ours.
struct DraftPoint {
    /// What the source calls it.
    var title: String
    /// Where in the source, for remarks.
    var node: SourceNode
    var table: RegisterTable
    /// Zero-based; checked when the draft is finished.
    var protocolAddress: Int
    var type: ValueType
    var order = ByteOrder.bigEndian
    /// Where an `int8` or `uint8` lies in its register, or how characters do.
    var characters: CharacterLayout?
    /// Registers of a string.
    var count: Int?
    var bits: ClosedRange<Int>?
    var scale = DecimalNumber.one
    var offset = DecimalNumber.zero
    /// The `key` of the point that holds the exponent.
    var scaleKey: String?
    /// A UCUM code; nil for none.
    var unit: String?
    var kind = PointKind.measurement
    var enumeration: [EnumerationLabel] = []
    var sentinels: [UInt64] = []
    var every: Duration?
    var write: DraftWrite?
    var summary: String?
    /// By what other points of the draft refer to it.
    var key: String?
    /// Given when the draft is finished.
    var name = ""

    init(
        _ title: String, at node: SourceNode, table: RegisterTable, address: Int, type: ValueType,
        kind: PointKind? = nil
    ) {
        self.title = title
        self.node = node
        self.table = table
        protocolAddress = address
        self.type = table.isBits ? .bool : type
        self.kind = kind ?? (table.isBits ? .state : .measurement)
    }

    /// At least 1, and bounded, whatever the source says: what is impossible is left out when the draft is finished.
    var registerCount: Int { min(max(count ?? type.fixedRegisterCount ?? 1, 1), 100_000) }

    /// Addresses that it takes in its table, bounded likewise.
    var addresses: Range<Int> {
        let start = min(max(protocolAddress, -100_000), 100_000)
        return start..<start + registerCount
    }

    /// The byte order as a profile writes it; nil where nothing need be said.
    var orderName: String? {
        if let characters {
            return type == .string && characters == .highFirst ? nil : characters.rawValue
        }
        guard !table.isBits, order != .bigEndian, type != .string else { return nil }
        switch registerCount {
        case 1: return order.bytesAreSwapped ? "BA" : nil
        default: return order.name(registerCount: registerCount)
        }
    }
}

/// What a source says about writing a value.
struct DraftWrite: Hashable {
    var mode: WriteRule.Mode
    var low: DecimalNumber?
    var high: DecimalNumber?
    var step: DecimalNumber?
    /// Title of the point by which the source verifies; found by key when the draft is finished.
    var readbackKey: String?
    /// Title of the point as it is written into the file, once it is known.
    var readback: String?
}

/// One device type.
struct DraftProfile {
    /// What the source calls it: becomes the model in the id.
    var title: String
    var manufacturer: String?
    var model: String?
    var points: [DraftPoint]
    /// Comments for the head of the file.
    var comments: [String] = []
    /// How to recognise the device: `table: …, address: …, type: …, equals: …` in the notation of a profile.
    var identify: [String] = []
    /// Whether a pattern that is no value says that the device does not have the point at all.
    var sentinelsMeanAbsence = false
    /// Given when the draft is finished.
    var id = ""
}

/// A way to devices.
struct DraftConnection {
    enum Channel: Hashable {
        case tcp(host: String, port: Int)
        case rtuOverTCP(host: String, port: Int)
        case serial(path: String, baud: Int, format: String)

        /// What can be opened once, however it is spoken to.
        var endpoint: String {
            switch self {
            case .tcp(let host, let port), .rtuOverTCP(let host, let port): "\(host.lowercased()):\(port)"
            case .serial(let path, _, _): path
            }
        }
    }

    var title: String
    var node: SourceNode
    var channel: Channel
    var timeout: Duration?
    var pause: Duration?
    var name = ""
}

struct DraftDevice {
    var title: String
    var node: SourceNode
    /// Index of its profile.
    var profile: Int
    /// Index of its connection.
    var connection: Int
    var unit: Int
    var name = ""
}

/// Everything that one import makes.
struct Draft {
    var profiles: [DraftProfile] = []
    var connections: [DraftConnection] = []
    var devices: [DraftDevice] = []

    /// The index of the connection with this channel, which is added where it is new: an endpoint has one connection.
    mutating func connect(_ connection: DraftConnection) -> Int {
        if let index = connections.firstIndex(where: { $0.channel == connection.channel }) { return index }
        connections.append(connection)
        return connections.count - 1
    }

    /// The profile of the device at this unit; a device is added where it is new.
    mutating func device(_ title: String, at node: SourceNode, connection: Int, unit: Int) -> Int {
        if let device = devices.first(where: { $0.connection == connection && $0.unit == unit }) {
            return device.profile
        }
        profiles.append(DraftProfile(title: title, points: []))
        devices.append(
            DraftDevice(title: title, node: node, profile: profiles.count - 1, connection: connection, unit: unit))
        return profiles.count - 1
    }
}
