/// A label with its value, in the order of the file (`labels:`).
package struct Label: Hashable, Sendable {
    package var key: String
    package var value: String

    package init(key: String, value: String) {
        self.key = key
        self.value = value
    }
}

/// Who this gateway is (site key `gateway`).
package struct GatewayIdentity: Hashable, Sendable {
    package var id: String
    package var owner: String
    /// Folder of the journal and everything else that must survive a restart.
    package var stateFolder: String
    package var labels: [Label]

    package init(id: String, owner: String, stateFolder: String, labels: [Label] = []) {
        self.id = id
        self.owner = owner
        self.stateFolder = stateFolder
        self.labels = labels
    }
}

/// One asset of the site: a profile put to work at a unit of a connection, overrides applied (site key `devices`).
package struct Device: Hashable, Sendable {
    package var id: String
    package var profile: String
    package var revision: Int
    package var connection: String
    /// Unit address on the connection, 0 to 255.
    package var unit: UInt8
    package var owner: String
    /// Own labels first, then those of the gateway that it does not replace.
    package var labels: [Label]
    package var limits: DeviceLimits
    /// How to recognise it, all of them; empty where the profile says nothing.
    package var identity: [IdentityCheck]
    package var points: [Point]
    /// Models whose points are found at run time; until then ``points`` has those of a device with each model once.
    package var sunSpec: SunSpecSelection?
    /// What was found, and ``points`` are of.
    package var chain: SunSpecChain?
    /// What its profile declares.
    package var watchdog: DeviceWatchdog?

    package init(
        id: String, profile: String, revision: Int, connection: String, unit: UInt8, owner: String,
        labels: [Label] = [], limits: DeviceLimits = DeviceLimits(), identity: [IdentityCheck] = [], points: [Point],
        sunSpec: SunSpecSelection? = nil, watchdog: DeviceWatchdog? = nil
    ) {
        self.id = id
        self.profile = profile
        self.revision = revision
        self.connection = connection
        self.unit = unit
        self.owner = owner
        self.labels = labels
        self.limits = limits
        self.identity = identity
        self.points = points
        self.watchdog = watchdog
        self.sunSpec = sunSpec
    }

    /// The least time to wait for a reply, whatever the connection says or has learned; zero where the profile says nothing.
    package var minimumTimeout: Duration { limits.timeout }
}

/// Where and how readings are published (site key `publish`).
package struct PublisherSettings: Hashable, Sendable {
    package enum ProtocolVersion: Int, Sendable {
        case v311 = 4
        case v5 = 5
    }

    package struct TLS: Hashable, Sendable {
        package var authorityFile: String?
        package var certificateFile: String?
        package var keyFile: String?

        package init(authorityFile: String? = nil, certificateFile: String? = nil, keyFile: String? = nil) {
            self.authorityFile = authorityFile
            self.certificateFile = certificateFile
            self.keyFile = keyFile
        }
    }

    package var name: String
    /// Tried in turn: the next one when one does not answer.
    package var brokers: [Endpoint]
    package var version: ProtocolVersion
    /// `headgate-{gateway}-{publisher}` unless the site file says otherwise.
    package var clientID: String
    package var username: String?
    package var passwordFile: String?
    /// Nil for plain MQTT.
    package var tls: TLS?
    /// Topic of reading batches with `{gateway}`, `{device}` and `{labels.key}`.
    package var topic: String
    /// 0 or 1.
    package var qos: Int
    /// Unacknowledged publishes at once.
    package var window: Int
    /// Share of the window that the backlog may take while live data flows, 0 to 1.
    package var backlogShare: Double
    package var keepAlive: Duration

    package init(
        name: String, brokers: [Endpoint], version: ProtocolVersion = .v5, clientID: String, username: String? = nil,
        passwordFile: String? = nil, tls: TLS? = nil, topic: String = "headgate/v1/{gateway}/r/{device}", qos: Int = 1,
        window: Int = 100, backlogShare: Double = 0.5, keepAlive: Duration = .seconds(30)
    ) {
        self.name = name
        self.brokers = brokers
        self.version = version
        self.clientID = clientID
        self.username = username
        self.passwordFile = passwordFile
        self.tls = tls
        self.topic = topic
        self.qos = qos
        self.window = window
        self.backlogShare = backlogShare
        self.keepAlive = keepAlive
    }
}

/// The journal's limits (site key `buffer`).
package struct BufferSettings: Hashable, Sendable {
    package enum Durability: String, Sendable, CaseIterable {
        /// Survives a crash of the process; a power cut may take the last moments.
        case process
        /// Survives a power cut: one fsync for each group commit.
        case power
    }

    package var maxByteCount: Int64
    package var maxAge: Duration
    package var commitEvery: Duration
    package var durability: Durability

    package init(
        maxByteCount: Int64 = 4 << 30, maxAge: Duration = .seconds(30 * 86_400),
        commitEvery: Duration = .milliseconds(100),
        durability: Durability = .power
    ) {
        self.maxByteCount = maxByteCount
        self.maxAge = maxAge
        self.commitEvery = commitEvery
        self.durability = durability
    }
}

/// A whole site file, checked and complete: what the gateway is composed from.
package struct Site: Hashable, Sendable {
    package var gateway: GatewayIdentity
    package var connections: [Connection]
    package var devices: [Device]
    package var publishers: [PublisherSettings]
    package var buffer: BufferSettings
    /// Lets nobody write anything unless the file says who may.
    package var commands: CommandSettings
    /// Where its profiles lie, its own folders first, then the library; empty for the library alone.
    package var profileFolders: [String]

    package init(
        gateway: GatewayIdentity, connections: [Connection], devices: [Device], publishers: [PublisherSettings],
        buffer: BufferSettings = BufferSettings(), commands: CommandSettings = CommandSettings(),
        profileFolders: [String] = []
    ) {
        self.gateway = gateway
        self.connections = connections
        self.devices = devices
        self.publishers = publishers
        self.buffer = buffer
        self.commands = commands
        self.profileFolders = profileFolders
    }
}
