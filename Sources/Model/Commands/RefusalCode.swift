/// Why a command was refused, as published (`event/1`, field `code`). The order is that in which the codes are preferred
/// when several guards refuse.
package enum RefusalCode: String, Sendable, CaseIterable {
    /// The policy does not name the issuer, or `origin.category` is not the category of the issuer in the site file.
    case notAuthorised = "not_authorised"
    /// The message has no valid signature of a known issuer.
    case badSignature = "bad_signature"
    /// The message names another gateway, or a point that the gateway does not have.
    case unknownPoint = "unknown_point"
    /// No policy covers the point, or its profile does not make it writable.
    case notWritable = "not_writable"
    /// The message is not a document that the gateway reads here, or the value does not fit the point.
    case badFormat = "bad_format"
    /// The unit is not the unit of the point.
    case badUnit = "bad_unit"
    /// The message arrived, or its turn came, after `expires`; or it was issued before the gateway started.
    case expired
    /// The message was issued in the future of the gateway's clock.
    case timeSkew = "time_skew"
    /// The id belongs to a request with other bytes.
    case duplicateConflict = "duplicate_conflict"
    /// The site is read only, it is outside of the policy's hours, or the lane of the issuer went down.
    case modeBlocked = "mode_blocked"
    /// A person at the device has the point.
    case localControl = "local_control"
    /// A lockout is on.
    case lockedOut = "locked_out"
    /// An issuer with more authority, or another machine, holds the point; or the point is on its way to its fallback.
    case heldByOther = "held_by_other"
    /// The value is outside of the limits of the policy, the profile or the device.
    case outOfLimits = "out_of_limits"
    /// The value is too far from the measured value.
    case stepLimit = "step_limit"
    /// The writes of the hour are used up, or the issuer sends too many requests.
    case rateLimit = "rate_limit"
    /// The last write was too recent.
    case minInterval = "min_interval"
    /// The writes of the day are used up, or the issuer has put as much into the audit log today as it may.
    case budget
    /// A condition of the policy does not hold.
    case interlock
    /// A condition of the policy cannot be evaluated: a reading is missing, old or bad.
    case interlockUnknown = "interlock_unknown"
    /// Evidence is missing, unknown to the gateway, or older than the policy allows.
    case evidenceStale = "evidence_stale"
    /// Evidence is not what the gateway published, or has a bad quality.
    case evidenceBad = "evidence_bad"
    /// The point does not have the value that the request expects.
    case expectMismatch = "expect_mismatch"
    /// The gateway has no fresh and good reading of the point, or cannot identify the device.
    case deviceUnhealthy = "device_unhealthy"
    /// The device is not the one that its profile describes.
    case wrongDevice = "wrong_device"
    /// The device answered the write with an exception.
    case deviceRejected = "device_rejected"
    /// The read-back shows another value than was written.
    case verifyMismatch = "verify_mismatch"
    /// A person denied the request.
    case approvalDenied = "approval_denied"
    /// No person decided in time.
    case approvalTimeout = "approval_timeout"
    /// The gateway starts or stops, the issuer is silent, or the readiness report does not allow it.
    case notReady = "not_ready"
    /// The audit log cannot be written, so nothing is commanded.
    case auditUnavailable = "audit_unavailable"
    /// Nothing left the gateway.
    case notSent = "not_sent"
    /// Nothing can be read that confirms the write. Rejected where
    /// the policy does not allow that; otherwise the write is done.
    case unverified
}

/// Why a person overrode or denied: short, so that it becomes training data.
package enum HumanReason: String, Sendable, CaseIterable {
    /// The action could harm people or equipment.
    case safety
    /// The product would suffer.
    case productQuality = "product_quality"
    /// People in the building would suffer.
    case comfort
    /// The plant is being worked on.
    case maintenance
    /// The readings behind the action are wrong.
    case wrongData = "wrong_data"
    /// The readings are right, and the model draws the wrong conclusion.
    case wrongModel = "wrong_model"
    /// The action is right, and the moment is wrong.
    case timing
    /// None of the others; the note says more.
    case other
}
