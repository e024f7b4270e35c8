package import Model

/// Names a message that waits for its acknowledgement: what the desk gives back once the message is journaled and synced.
package typealias DeliveryToken = UInt64

/// The account of the operating system that a process at the local socket runs under, as the kernel tells it.
package struct LocalAccount: Hashable, Sendable {
    package var userID: UInt32
    /// Nil for an id without a name.
    package var userName: String?

    package init(userID: UInt32, userName: String?) {
        self.userID = userID
        self.userName = userName
    }

    package var document: JSONValue {
        .compact([("uid", .integer(userID)), ("user", .optional(userName))])
    }

    /// Whether it is the account that somebody calls so: by its name or its number.
    package func isCalled(_ name: String) -> Bool {
        name == userName || name == "\(userID)"
    }

    init?(_ document: JSONValue) {
        guard let id = document["uid"]?.integer(in: 0...UInt32.max) else { return nil }
        self.init(userID: id, userName: document["user"]?.text)
    }
}

/// Who sent something, as the transport established it.
package struct Sender: Hashable, Sendable {
    /// Name of an issuer: the `kid` of a verified signature, the user of the local socket, or, unsigned, what the message
    /// says itself.
    package var name: String
    /// Whether the name is proven: by a signature, or at the local socket by who may open it.
    package var isProven: Bool
    /// Who was at the local socket; nil elsewhere. What comes from there is never taken for signed.
    package var account: LocalAccount?

    package init(name: String, isProven: Bool = true, account: LocalAccount? = nil) {
        self.name = name
        self.isProven = isProven
        self.account = account
    }

    /// What the audit log says of who was there.
    var accountMember: (String, JSONValue) { ("account", account?.document ?? .null) }

    /// The file in the state folder that locks the site, without a network and without a key. No issuer can have this name.
    package static let lockoutFile = Sender(name: "lockout file")
}

/// Where an MQTT 5 requester wants its answers as well.
package struct ReplyAddress: Hashable, Sendable {
    /// Name of the broker (site key `publish`) that the request came from: nobody else hears the answers.
    package var broker: String
    package var topic: String
    package var correlation: [UInt8]

    package init(broker: String, topic: String, correlation: [UInt8] = []) {
        self.broker = broker
        self.topic = topic
        self.correlation = correlation
    }
}

/// A request that was readable.
package struct IncomingRequest: Hashable, Sendable {
    package var command: Command
    /// Of the bytes that were received: the same id with another digest is another command.
    package var digest: [UInt8]
    package var sender: Sender
    /// Delivered because it was retained: nobody means it now.
    package var isRetained: Bool
    package var reply: ReplyAddress?
    package var token: DeliveryToken

    package init(
        command: Command, digest: [UInt8], sender: Sender, isRetained: Bool = false, reply: ReplyAddress? = nil,
        token: DeliveryToken = 0
    ) {
        self.command = command
        self.digest = digest
        self.sender = sender
        self.isRetained = isRetained
        self.reply = reply
        self.token = token
    }
}

/// A message that cannot be read as what its topic is for: junk, a signature that does not hold, or a document that says
/// something else than it may.
package struct IncomingJunk: Hashable, Sendable {
    /// What it calls itself, where a signature holds; nil for what cannot be attributed.
    package var id: CommandID?
    /// The point of its topic; nil where the topic is that of no point.
    package var point: String?
    /// The command that a decision is about which its signer did not write as it must be.
    package var decision: CommandID?
    /// Who signed it; nil for what is not signed.
    package var signer: String?
    package var code: RefusalCode
    /// What is wrong, in words, for whoever signed it.
    package var note: String?
    package var reply: ReplyAddress?
    package var token: DeliveryToken

    package init(
        id: CommandID? = nil, point: String?, decision: CommandID? = nil, signer: String? = nil, code: RefusalCode,
        note: String? = nil, reply: ReplyAddress? = nil, token: DeliveryToken = 0
    ) {
        self.id = id
        self.point = point
        self.decision = decision
        self.signer = signer
        self.code = code
        self.note = note
        self.reply = reply
        self.token = token
    }
}

/// What a person says to a command that waits.
package struct IncomingDecision: Hashable, Sendable {
    package var id: CommandID
    /// Id of the gateway that it is for.
    package var gateway: String
    /// Of the bytes of the request that the person was shown.
    package var digest: [UInt8]
    package var expires: UnixTime
    package var isApproval: Bool
    package var reason: HumanReason?
    package var note: String?
    package var sender: Sender
    package var token: DeliveryToken

    package init(
        id: CommandID, gateway: String, digest: [UInt8], expires: UnixTime, isApproval: Bool,
        reason: HumanReason? = nil, note: String? = nil, sender: Sender, token: DeliveryToken = 0
    ) {
        self.id = id
        self.gateway = gateway
        self.digest = digest
        self.expires = expires
        self.isApproval = isApproval
        self.reason = reason
        self.note = note
        self.sender = sender
        self.token = token
    }
}

/// What a person orders that is no command to a point.
package struct IncomingOrder: Hashable, Sendable {
    package enum Order: Hashable, Sendable {
        case lockout(LockoutScope, isOn: Bool)
        case lane(issuer: String, point: String, Lane)
        /// Somebody has looked after a point that the gateway cannot take back.
        case acknowledge(point: String)
        /// Why a value was changed at the device, told afterwards.
        case explain(CommandID, HumanReason?, note: String?)

        /// Whether it stops something: that is never refused for what a message leaves out.
        package var isStop: Bool {
            if case .lockout(_, isOn: true) = self { true } else { false }
        }

        /// The point that it is about, where it is one.
        var point: String? {
            switch self {
            case .lockout(.point(let point), _), .lane(_, let point, _), .acknowledge(let point): point
            case .lockout, .explain: nil
            }
        }
    }

    /// What makes a signed message this one and no other, and the time in which a copy of it can be sent.
    package struct Copy: Hashable, Sendable {
        package var digest: [UInt8]
        package var issued: UnixTime
        package var expires: UnixTime

        package init(digest: [UInt8], issued: UnixTime, expires: UnixTime) {
            self.digest = digest
            self.issued = issued
            self.expires = expires
        }
    }

    package var order: Order
    /// Id of the gateway that it is for; nil where it does not say.
    package var gateway: String?
    package var reason: String?
    package var sender: Sender
    /// Nil for an order that nobody can copy.
    package var copy: Copy?
    package var reply: ReplyAddress?
    package var token: DeliveryToken

    package init(
        _ order: Order, gateway: String? = nil, reason: String? = nil, sender: Sender, copy: Copy? = nil,
        reply: ReplyAddress? = nil, token: DeliveryToken = 0
    ) {
        self.order = order
        self.gateway = gateway
        self.reason = reason
        self.sender = sender
        self.copy = copy
        self.reply = reply
        self.token = token
    }
}

/// Names one write to a device, for ever: number 0 is the write of the command's own value, of which there is at most one;
/// the others take the point back.
package struct WriteTag: Hashable, Sendable {
    package var command: CommandID
    package var number: UInt32

    package init(command: CommandID, number: UInt32 = 0) {
        self.command = command
        self.number = number
    }
}

/// A value on its way to a device.
package struct SetpointWrite: Hashable, Sendable {
    package var tag: WriteTag
    /// `device/point`.
    package var point: String
    package var value: PointValue

    package init(tag: WriteTag, point: String, value: PointValue) {
        self.tag = tag
        self.point = point
        self.value = value
    }
}

/// Everything that can happen to the desk.
package enum DeskEvent: Sendable {
    case request(IncomingRequest)
    case junk(IncomingJunk)
    case decision(IncomingDecision)
    case order(IncomingOrder)
    case readings([ReadingSample])
    case wrote(WriteTag, WriteOutcome)
    case readBack(WriteTag, ReadBack)
    /// What the device showed at a point that was asked for, see ``DeskEffect/look(_:)``.
    case looked(String, ReadBack)
    /// Whether there is any broker; where there is none any more, how long ago the last one was known to be alive.
    case broker(isConnected: Bool, silentFor: Duration = .zero)
    /// What the readiness report says for writing, until when.
    case readiness(isGo: Bool, until: UnixTime)
    case outcome(Outcome)
    /// What became of a sign of life for a device's watchdog; `failure` says why it was not taken.
    case beaten(point: String, failure: String?)
    /// Time has passed.
    case tick
    /// The gateway is about to stop: what is leased goes back first.
    case stop
    /// These points are about to be taken out of the desk's hands: what is leased goes back first, nothing new is taken.
    case withdraw(Set<String>)
}

/// What the desk wants done. In the order given; nothing after a ``commit(_:leaves:)`` may happen unless it succeeded.
package enum DeskEffect: Hashable, Sendable {
    case commit([LedgerRecord], leaves: [[UInt8]])
    case publish(DeskMessage)
    case write(SetpointWrite)
    /// Feed a device's watchdog, see ``SetpointWriter/beat(_:_:)``.
    case beat(point: String, PointValue)
    /// Read the point of a write whose fate is not known.
    case readBack(SetpointWrite)
    /// Read this point (`device/point`) now, where it is confirmed; ``DeskEvent/looked(_:_:)`` is the answer.
    case look(String)
    /// The horizon of a command has passed: gather its readings, build its ``Outcome`` and send it back as an event.
    case collect(OutcomePlan)
    /// The message with this token may be acknowledged to the broker.
    case acknowledge(DeliveryToken)
    /// What became of a decision or an order; nil: done.
    case answer(DeliveryToken, refusal: DeskRefusal?)
}

/// Why a decision or an order was not followed.
package struct DeskRefusal: Error, Hashable, Sendable {
    package var code: RefusalCode
    package var message: String

    package init(code: RefusalCode, message: String) {
        self.code = code
        self.message = message
    }

    /// Without a ledger nothing is taken.
    ///
    /// - Parameter fault: why it cannot be written, where that is known.
    static func ledgerAway(_ fault: String? = nil) -> DeskRefusal {
        let why = fault.map { ": \($0)" } ?? ""
        return DeskRefusal(
            code: .auditUnavailable, message: "the ledger cannot be written; nothing is commanded\(why)")
    }
}
