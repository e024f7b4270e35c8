import Audit
import Engine
import Synchronization

/// One call that waits for its transaction.
final class LedgerRequest: Sendable {
    let records: [LedgerRecord]
    let leaves: [[UInt8]]
    private let result = Mutex<Result<UInt64, LedgerError>?>(nil)

    /// - Throws: when the ledger could never take it.
    init(records: [LedgerRecord], leaves: [[UInt8]]) throws(LedgerError) {
        for record in records {
            guard Seal.isWord(record.kind), Seal.isWord(record.key) else {
                throw .unusable(
                    "'\(record.kind)' and '\(record.key)' cannot name a record: no white space, 1 to 512 bytes")
            }
        }
        guard (leaves + records.compactMap(\.body)).allSatisfy({ $0.count <= SQLiteLedger.bodyByteLimit }) else {
            throw .unusable("a leaf or a record is larger than \(SQLiteLedger.bodyByteLimit) bytes")
        }
        guard !leaves.contains(where: Seal.isSeal) else { throw .unusable("a leaf may not begin like a seal") }
        self.records = records
        self.leaves = leaves
    }

    var byteCount: Int {
        leaves.reduce(0) { $0 + $1.count } + records.reduce(0) { $0 + ($1.body?.count ?? 0) }
    }

    var isFinished: Bool { result.withLock { $0 != nil } }

    func finish(_ result: Result<UInt64, LedgerError>) {
        self.result.withLock { $0 = result }
    }

    func outcome() throws(LedgerError) -> UInt64 {
        guard let result = result.withLock({ $0 }) else {
            preconditionFailure("a request is finished before its caller goes on")
        }
        return try result.get()
    }
}
