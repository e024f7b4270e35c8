/// One thing that the ledger keeps beside the leaves: a command, a slot, a lane, a counter. A nil body removes it.
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
}

package enum LedgerError: Error, Hashable, Sendable {
    case unavailable(String)
    case unusable(String)
}
