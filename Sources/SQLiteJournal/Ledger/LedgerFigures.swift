package import Engine

/// Figures of a ledger at one moment, since its start.
package struct LedgerFigures: Hashable, Sendable {
    /// Leaves, seals included.
    package var size: UInt64 = 0
    /// Calls that were committed, and the transactions that they took.
    package var requests: UInt64 = 0
    package var commits: UInt64 = 0
    /// Times that the disk was told to make what it was given durable.
    package var syncs: UInt64 = 0
    package var byteCount: Int64 = 0
    /// How long transactions took, fsync included.
    package var lastLatency = Duration.zero
    package var slowestLatency = Duration.zero
    package var refusals: UInt64 = 0
    /// Nil while the disk takes what it is given.
    package var fault: LedgerError?

    package init() {}

    mutating func committed(_ count: Int, size: UInt64, latency: Duration) {
        self.size = size
        requests += UInt64(count)
        commits += 1
        lastLatency = latency
        slowestLatency = max(slowestLatency, latency)
        fault = nil
    }

    mutating func refused(_ problem: LedgerError) {
        refusals += 1
        fault = problem
    }
}
