package import Model

/// One thing that the ledger keeps beside the leaves: a command, a slot, a lane, a counter. A nil body removes it. Kind and
/// key are words: 1 to 512 bytes without white space.
package struct LedgerRecord: Hashable, Sendable {
    package var kind: String
    package var key: String
    package var body: [UInt8]?

    package init(kind: String, key: String, body: [UInt8]?) {
        self.kind = kind
        self.key = key
        self.body = body
    }
}

package protocol Ledger: Sendable {
    /// Writes records and audit leaves in one synced transaction; all or nothing. Returns the index of the first leaf.
    func commit(_ records: [LedgerRecord], leaves: [[UInt8]]) async throws(LedgerError) -> UInt64

    func records(_ kind: String) async throws(LedgerError) -> [LedgerRecord]

    /// Requests that were issued before are not followed, nor is what still waited then: a ledger that began anew, or whose
    /// folder was put back from a copy, may have forgotten that they were executed. Nil for no such time.
    var requestsSince: UnixTime? { get async }
}

extension Ledger {
    package var requestsSince: UnixTime? { get async { nil } }
}

package enum LedgerError: Error, Hashable, Sendable {
    /// The disk refuses: full, read-only, I/O error. Nothing was written; asking again may help. Says which in words.
    case unavailable(String)
    /// The ledger is damaged, rolled back, from a newer version, or what was asked can never be written. Says what to do.
    case unusable(String)
}

extension LedgerError: CustomStringConvertible {
    package var description: String {
        switch self {
        case .unavailable(let words), .unusable(let words): words
        }
    }
}
