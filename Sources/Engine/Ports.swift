package import Model

/// What went wrong on a bus, classified by what happens next.
package enum BusError: Error, Hashable, Sendable {
    /// No connection: close, back off, all points of the connection are bad. Says why in words.
    case linkDown(String)
    /// The unit did not answer in time: skip it, back it off, go on with the others.
    case noResponse
    /// What came was not a valid answer (CRC, length, unit, transaction): drain, count, next cycle.
    case garbled(String)
    /// The unit gave a whole answer that does not fit the request (byte count, function): the next one will be the same.
    case mismatch(String)
    /// The unit answered with an exception code (Modbus Application Protocol V1.1b3, section 7).
    case refused(UInt8)
    /// The request cannot be sent: a bug, or a profile that asks for the impossible.
    case invalidRequest(String)
}

/// How one write request failed, classified by what may have happened in the device.
package enum WriteFailure: Error, Hashable, Sendable {
    /// The unit answered with an exception code that says that it did not do it.
    case refused(UInt8)
    /// Nothing has left this machine. Says why in words.
    case notSent(String)
    /// Some of it may have left, and no answer tells what became of it; also an answer that says "not finished" (exception
    /// 05) or "sent on, no answer" (0B). To be resolved by reading back, never by repeating. Says why in words.
    case indeterminate(String)

    /// The channel is not the one that the writer meant.
    package static let openedAnew = WriteFailure.notSent(
        "the connection was opened anew, and who answers is not known yet")
}

/// The words of an answer.
package struct BusReply: Hashable, Sendable {
    package var words: [UInt16]
    /// What the unit took, without what the request waited for before it was sent and without the time on a serial wire;
    /// nil where the bus cannot tell.
    package var duration: Duration?

    package init(words: [UInt16], duration: Duration?) {
        self.words = words
        self.duration = duration
    }
}

/// One physical channel. Every call is one request and its answer; at most `Connection.inFlight` calls are made at once,
/// and the caller decides their order. The connection is opened by the first call that needs it.
package protocol Bus: Sendable {
    /// The executor on which the channel's work runs; its poller shares it, so that a poll needs no change of thread. It is
    /// also what the poller's tasks prefer: otherwise each wait would end on the shared pool first.
    nonisolated var executor: any SerialExecutor & TaskExecutor { get }

    /// Reads `span` from `unit`: one word a register, or one word that is 0 or 1 a bit; always `span.registerCount` words.
    func read(_ span: RegisterSpan, unit: UInt8, timeout: Duration) async throws(BusError) -> [UInt16]

    /// The same, and how long the unit took.
    func timedRead(_ span: RegisterSpan, unit: UInt8, timeout: Duration) async throws(BusError) -> BusReply

    /// Writes to `unit` by exactly one request, which is never repeated, whatever becomes of it or of the channel. Returns
    /// once the unit has acknowledged with the answer that belongs to the request; that proves nothing about the registers.
    ///
    /// - Parameter session: where it is given, nothing is sent unless ``session`` is that number at the moment of sending:
    ///   what answers on a channel that was opened anew may be another device.
    func write(
        _ write: RegisterWrite, unit: UInt8, timeout: Duration, session: UInt64?
    ) async throws(WriteFailure)

    /// Asks `unit` who it is by Read Device Identification (FC43/14), basic stream.
    ///
    /// - Returns: texts by object id; 0 is the vendor, 1 the product, 2 the revision.
    func identification(of unit: UInt8, timeout: Duration) async throws(BusError) -> [UInt8: String]

    /// How often the channel has been opened: a number for what it is connected to, as long as it stays connected.
    var session: UInt64 { get async }

    /// Closes the channel. A later call opens it again.
    func close() async

    /// What was seen on the channel instead of the answer that `unit` did not give last, in words; nil where nothing was.
    func remark(on unit: UInt8) async -> String?

    /// What is to be known of the channel as a whole, in words; nil where there is nothing.
    var channelNote: String? { get async }
}

extension Bus {
    package func remark(on unit: UInt8) async -> String? { nil }
    package var channelNote: String? { get async { nil } }

    package func timedRead(_ span: RegisterSpan, unit: UInt8, timeout: Duration) async throws(BusError) -> BusReply {
        BusReply(words: try await read(span, unit: unit, timeout: timeout), duration: nil)
    }

    package func write(_ write: RegisterWrite, unit: UInt8, timeout: Duration) async throws(WriteFailure) {
        try await self.write(write, unit: unit, timeout: timeout, session: nil)
    }
}

/// Position of a row in the journal: contiguous for ever (`reading/1` and `gap/1`, field `seq`).
package typealias Position = UInt64

extension Position {
    /// What the journal can hold; a row's next position is one too.
    package static let storable: ClosedRange<Position> = 0...Position(Int64.max) - 1
}

/// A row of the journal.
package struct JournalEntry: Hashable, Sendable {
    package enum Body: Hashable, Sendable {
        case readings(ReadingBatch)
        case gap(GapRecord)
    }

    package var position: Position
    package var epoch: UInt32
    package var body: Body
    /// Whether it is in memory only, because the disk refuses rows: a power cut would take it.
    package var isVolatile: Bool

    package init(position: Position, epoch: UInt32, body: Body, isVolatile: Bool = false) {
        self.position = position
        self.epoch = epoch
        self.body = body
        self.isVolatile = isVolatile
    }
}

/// What a look into the journal found.
package struct JournalSlice: Hashable, Sendable {
    /// In order of position.
    package var entries: [JournalEntry]
    /// The slice tells about every position below this one: what is not in ``entries`` is gone, and a gap record says so.
    package var end: Position

    package init(entries: [JournalEntry], end: Position) {
        self.entries = entries
        self.end = end
    }
}

/// Why the journal could not do what was asked.
package enum JournalError: Error, Hashable, Sendable {
    /// The disk refused: full, read-only, I/O error. Says which in words.
    case storage(String)
    /// The file is damaged or from a newer version. Says what to do.
    case unusable(String)
    case closed
}

extension JournalError: CustomStringConvertible {
    package var description: String {
        switch self {
        case .storage(let words), .unusable(let words): words
        case .closed: "the journal is closed"
        }
    }
}

/// Figures of a journal at one moment.
package struct JournalFigures: Hashable, Sendable {
    /// The oldest position still stored and the position that the next row gets; equal when nothing is stored.
    package var first: Position
    package var next: Position
    /// Bytes on disk, and those of them that hold rows: space that eviction freed is used again, not given back.
    package var byteCount: Int64
    package var usedByteCount: Int64 = 0
    /// Readings committed since the start.
    package var readings: UInt64 = 0
    package var commits: UInt64 = 0
    /// Times that the disk was told to make what it was given durable, since the start.
    package var syncs: UInt64 = 0
    /// Readings lost because the disk refused, each told by a gap record.
    package var lostReadings: UInt64 = 0
    /// Rows that wait in memory for a disk that refuses them.
    package var volatileRows: UInt64 = 0
    /// Nil while the disk takes what it is given.
    package var fault: String?

    package init(first: Position, next: Position, byteCount: Int64) {
        self.first = first
        self.next = next
        self.byteCount = byteCount
    }
}

/// The only path from the bus to a publisher: rows get contiguous positions when they are committed, in groups, and can be
/// read from then on, never before.
package protocol Journal: Sendable {
    /// Counted up at each start, never reused.
    var epoch: UInt32 { get }

    /// The number under which batches refer to `layout`. The same layout always has the same number.
    func register(_ layout: DeviceLayout) async throws(JournalError) -> LayoutID

    /// The layout with a number that a stored batch carries.
    func layout(_ id: LayoutID) async throws(JournalError) -> DeviceLayout

    /// Hands over a row for the next group commit. Returns once there is room in the group (so a full disk or a slow one
    /// slows the caller), not once it is committed. A row that the disk refuses is counted and told by a gap record.
    func append(_ body: JournalEntry.Body) async

    /// Returns when everything appended so far is committed, or counted as lost.
    func flush() async

    /// Rows from `position` on, in order, until `limit` rows or about 1 MiB; empty when there are none yet.
    func read(from position: Position, limit: Int) async throws(JournalError) -> JournalSlice

    /// The position that the next committed row gets.
    var next: Position { get async }

    /// Called after each commit with the new ``next``; evictions and faults also show there. Each call makes a stream of its
    /// own; a slow reader sees only the newest value.
    func commits() async -> AsyncStream<Position>

    /// What a publisher still has to deliver, as stored at its last ``save(_:for:)``; nil for a publisher never seen.
    func pending(for publisher: String) async throws(JournalError) -> [PositionInterval]?

    /// Stores what a publisher still has to deliver, with the next group commit.
    func save(_ pending: [PositionInterval], for publisher: String) async

    /// Says which publishers there are. What others still had to deliver is kept, in case they come back, but is no loss
    /// when it is evicted; before the first call everybody counts.
    func serve(_ publishers: Set<String>) async

    var figures: JournalFigures { get async }
}

/// One message to a broker.
package struct OutboundMessage: Hashable, Sendable {
    package var topic: String
    package var payload: [UInt8]
    package var qos: Int
    package var isRetained: Bool
    /// MQTT 5 content type.
    package var contentType: String
    /// MQTT 5: what a requester wants back with the answer.
    package var correlationData: [UInt8]?
    /// MQTT 5: how long the broker may keep it, in whole seconds.
    package var expiry: Duration?

    package init(
        topic: String, payload: [UInt8], qos: Int = 1, isRetained: Bool = false,
        contentType: String = "application/json", correlationData: [UInt8]? = nil, expiry: Duration? = nil
    ) {
        self.topic = topic
        self.payload = payload
        self.qos = qos
        self.isRetained = isRetained
        self.contentType = contentType
        self.correlationData = correlationData
        self.expiry = expiry
    }

    /// Bytes of the MQTT packet, counted generously: fixed header, lengths, message id and properties take less than 32
    /// besides the texts.
    package var packetByteCount: Int {
        payload.count + topic.utf8.count + contentType.utf8.count + (correlationData?.count ?? 0) + 32
    }
}

/// The caller's name for a publish, given back when the broker answered.
package typealias PublishToken = UInt64

/// What the broker said to one publish.
package enum PublishOutcome: Hashable, Sendable {
    case acknowledged
    /// MQTT 5 reason code of 0x80 and above: refused, to be shown and tried again later.
    case refused(UInt8)
}

/// What happened on the connection to a broker, in order.
package enum UplinkEvent: Hashable, Sendable {
    /// A session stands. `packetLimit` is the largest packet that the broker takes, nil where it did not say.
    case connected(packetLimit: Int?, receiveMaximum: Int?)
    /// The broker has kept the connection open and said nothing for so long; ``disconnected(_:)`` follows. Only told by a
    /// connection that takes messages in.
    case silent(Duration)
    /// The session is gone; publishes without an outcome will not get one.
    case disconnected(String)
    case outcome(PublishToken, PublishOutcome)
}

/// Why a message was not accepted for publishing.
package enum UplinkError: Error, Hashable, Sendable {
    case notConnected
    case tooLarge(limit: Int)
    case invalid(String)
}

/// A connection to a broker that keeps itself up.
package protocol Uplink: Sendable {
    /// Takes everything that happened since the last call; waits while nothing has. Nil once the uplink is closed. One
    /// reader at a time.
    func nextEvents() async -> [UplinkEvent]?

    /// Hands a message to the client library. Its outcome comes as an event, for QoS 0 as soon as it is sent. Only while
    /// connected: the journal is the queue, not the library.
    func publish(_ message: OutboundMessage, token: PublishToken) throws(UplinkError)

    /// Ends the session as if the network had, for a broker that no longer answers; a new one is tried.
    func reset(_ reason: String)

    /// Publishes what is still accepted, says goodbye and closes, within a second or so.
    func close() async
}

/// Turns rows of the journal into messages. One for each format.
package protocol PayloadEncoder: Sendable {
    /// The messages for one row: one, or several parts where one would exceed `packetLimit`; none where not even the
    /// smallest part fits.
    ///
    /// - Parameters:
    ///   - layout: of the batch in `entry`; nil for a gap record.
    ///   - isReplay: whether it comes from the buffer after an outage.
    ///   - sent: now.
    ///   - packetLimit: bytes of the largest packet that the broker takes, nil for no limit.
    func messages(
        for entry: JournalEntry, layout: DeviceLayout?, isReplay: Bool, sent: UnixTime, packetLimit: Int?
    ) -> [OutboundMessage]
}
