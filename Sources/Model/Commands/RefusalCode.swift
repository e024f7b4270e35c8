/// Why a command was refused, as published (`event/1`, field `code`). The order is that in which the codes are preferred
/// when several guards refuse.
package enum RefusalCode: String, Sendable, CaseIterable {
    case notAuthorised = "not_authorised"
    case badSignature = "bad_signature"
    case unknownPoint = "unknown_point"
    case notWritable = "not_writable"
    case badFormat = "bad_format"
    case badUnit = "bad_unit"
    case expired
    case timeSkew = "time_skew"
    case duplicateConflict = "duplicate_conflict"
    case modeBlocked = "mode_blocked"
    case localControl = "local_control"
    case lockedOut = "locked_out"
    case heldByOther = "held_by_other"
    case outOfLimits = "out_of_limits"
    case stepLimit = "step_limit"
    case rateLimit = "rate_limit"
    case minInterval = "min_interval"
    case budget
    case interlock
    case interlockUnknown = "interlock_unknown"
    case evidenceStale = "evidence_stale"
    case evidenceBad = "evidence_bad"
    case expectMismatch = "expect_mismatch"
    case deviceUnhealthy = "device_unhealthy"
    case wrongDevice = "wrong_device"
    case deviceRejected = "device_rejected"
    case verifyMismatch = "verify_mismatch"
    case approvalDenied = "approval_denied"
    case approvalTimeout = "approval_timeout"
    case notReady = "not_ready"
    case auditUnavailable = "audit_unavailable"
    case notSent = "not_sent"
    case unverified
}

/// Why a person overrode or denied: short, so that it becomes training data.
package enum HumanReason: String, Sendable, CaseIterable {
    case safety
    case productQuality = "product_quality"
    case comfort
    case maintenance
    case wrongData = "wrong_data"
    case wrongModel = "wrong_model"
    case timing
    case other
}
