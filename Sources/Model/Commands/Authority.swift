/// What kind of sender an issuer is. Decides the authority slot that its commands take.
package enum IssuerCategory: String, Sendable, CaseIterable {
    /// Somebody at the plant.
    case local
    case `operator`
    case schedule
    case ai
    /// Stands for commands of a protocol that proves nothing about who sends them. Never beyond a person's decision.
    case remote
    /// A program that asks for replays of readings, and commands nothing.
    case service

    package var slot: AuthoritySlot {
        switch self {
        case .local: .localOperator
        case .operator: .remoteOperator
        case .schedule: .schedule
        case .ai, .remote, .service: .ai
        }
    }

    /// How far its commands may go at most.
    package var ceiling: Command.Mode {
        switch self {
        case .local, .operator, .schedule, .ai: .write
        case .remote: .advise
        case .service: .shadow
        }
    }

    /// Whether it may command, or stop, anything.
    package var mayCommand: Bool { self != .service }

    package var isPerson: Bool {
        switch self {
        case .local, .operator: true
        case .schedule, .ai, .remote, .service: false
        }
    }
}

/// The slots of a writable point, highest first. The effective value is that of the highest occupied one; below all is the
/// fallback.
package enum AuthoritySlot: Int, Sendable, CaseIterable, Comparable {
    case lockout = 1
    case localOperator, remoteOperator, schedule, ai

    /// A slot is less than another when it has more authority.
    package static func < (left: AuthoritySlot, right: AuthoritySlot) -> Bool {
        left.rawValue < right.rawValue
    }

    package var name: String {
        switch self {
        case .lockout: "lockout"
        case .localOperator: "local_operator"
        case .remoteOperator: "remote_operator"
        case .schedule: "schedule"
        case .ai: "ai"
        }
    }

    package init?(name: String) {
        guard let slot = Self.allCases.first(where: { $0.name == name }) else { return nil }
        self = slot
    }
}

/// How far an issuer is trusted with a point: what separates the pilot from production. Ordered from least to most.
package enum Lane: String, Sendable, CaseIterable, Comparable {
    case shadow, advise
    /// Writes by itself inside a narrow envelope; larger steps are held.
    case supervised
    case autonomous

    package var rank: Int {
        switch self {
        case .shadow: 0
        case .advise: 1
        case .supervised: 2
        case .autonomous: 3
        }
    }

    package static func < (left: Lane, right: Lane) -> Bool {
        left.rank < right.rank
    }

    /// The lane below; the lowest has none.
    package var below: Lane? {
        Lane.allCases.first { $0.rank == rank - 1 }
    }

    /// What a command may do at most in this lane.
    package var ceiling: Command.Mode {
        switch self {
        case .shadow: .shadow
        case .advise: .advise
        case .supervised, .autonomous: .write
        }
    }
}

/// Somebody who may send commands or decisions (site key `commands.issuers`).
package struct Issuer: Hashable, Sendable {
    package enum Key: Hashable, Sendable {
        /// Public key, 32 bytes.
        case ed25519([UInt8])
        /// File with the secret of an HS256 issuer.
        case hmacFile(String)
        /// Only known by name: usable where a policy allows unsigned requests, and at the local socket.
        case none
    }

    /// The `kid` of its messages.
    package var name: String
    package var key: Key
    package var category: IssuerCategory
    /// Where it starts with each point, until a promotion or a demotion is recorded.
    package var lane: Lane
    /// How long it may be silent before what it holds is taken back; nil for as long as its leases.
    package var heartbeat: Duration?
    /// Names or numbers of accounts of the operating system that may speak for this person at the local socket; nil for every account that may
    /// open it.
    package var accounts: [String]?

    package init(
        name: String, key: Key = .none, category: IssuerCategory, lane: Lane? = nil, heartbeat: Duration? = nil,
        accounts: [String]? = nil
    ) {
        self.name = name
        self.key = key
        self.category = category
        self.lane = lane ?? (category.isPerson ? .autonomous : .shadow)
        self.heartbeat = heartbeat
        self.accounts = accounts
    }
}
