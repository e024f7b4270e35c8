import Model

extension JSONValue {
    /// A scalar as people write it; everything else as JSON; nothing for null.
    var shown: String {
        switch self {
        case .null: ""
        case .string(let text): text
        case .number(let number): number.plain
        case .bool, .array, .object: String(decoding: bytes, as: UTF8.self)
        }
    }

    /// The member as people read it, nothing where it is absent.
    func shown(_ key: String) -> String { self[key]?.shown ?? "" }

    /// The members of an object as `name=value name=value`.
    var assignments: String { members.map { "\($0.key)=\($0.value.shown)" }.joined(separator: " ") }
}

extension RefusalCode {
    /// The code and what it means.
    package var words: String { "\(rawValue): \(sentence)" }

    /// What it means, for whoever was refused.
    package var sentence: String {
        switch self {
        case .notAuthorised: "whoever asks may not do this here"
        case .badSignature: "the message is not signed by who it says it is from"
        case .unknownPoint: "this gateway has no such point"
        case .notWritable: "no policy and no profile make this point writable"
        case .badFormat: "the request is not what is accepted here"
        case .badUnit: "the unit is not that of the point"
        case .expired: "its time is over"
        case .timeSkew: "it was issued by a clock that disagrees with the gateway's"
        case .duplicateConflict: "the id is taken by another request"
        case .modeBlocked: "writing is not allowed at this site or at this hour"
        case .localControl: "somebody at the plant has the point"
        case .lockedOut: "a lockout is on"
        case .heldByOther: "somebody with the same or more authority holds the point"
        case .outOfLimits: "the value is outside of what the policy and the device allow"
        case .stepLimit: "the value is too far from the measured one"
        case .rateLimit: "too many commands"
        case .minInterval: "the last write is too recent"
        case .budget: "the writes of the day are used up"
        case .interlock: "an interlock does not hold"
        case .interlockUnknown: "it cannot be known whether an interlock holds"
        case .evidenceStale: "the evidence is missing or too old"
        case .evidenceBad: "the evidence is not what was measured, or of bad quality"
        case .expectMismatch: "the point is not what the request expects it to be"
        case .deviceUnhealthy: "there is no fresh, good reading of the point"
        case .wrongDevice: "the device is not the one that the profile describes"
        case .deviceRejected: "the device refused the write"
        case .verifyMismatch: "the device took the write and holds another value"
        case .approvalDenied: "a person denied it"
        case .approvalTimeout: "nobody decided in time"
        case .notReady: "the gateway or the point is not ready for it"
        case .auditUnavailable: "the ledger cannot be written, so nothing is commanded"
        case .notSent: "nothing left the gateway"
        case .unverified: "nothing can be read that confirms the write"
        }
    }
}
