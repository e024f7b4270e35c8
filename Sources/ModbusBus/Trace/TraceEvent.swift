package import Model

/// One thing that was seen on a channel.
package struct TraceEvent: Hashable, Sendable {
    package enum Kind: Hashable, Sendable {
        /// A request left.
        case sent
        /// Its answer came, so long after it.
        case answered(after: Duration)
        /// What came was no answer to what was asked, or nothing came; says why.
        case remark(String)
    }

    package var time: UnixTime
    package var kind: Kind
    /// As asked or, for an answer, as it says; nil where there is none to see.
    package var unit: UInt8?
    /// Modbus TCP only.
    package var transaction: UInt16?
    /// The request PDU, empty for what belongs to no request.
    package var request: [UInt8]
    /// The reply PDU of an answer.
    package var reply: [UInt8]
    /// What was on the wire.
    package var raw: [UInt8]

    package init(
        time: UnixTime, kind: Kind, unit: UInt8? = nil, transaction: UInt16? = nil, request: [UInt8] = [],
        reply: [UInt8] = [], raw: [UInt8] = []
    ) {
        self.time = time
        self.kind = kind
        self.unit = unit
        self.transaction = transaction
        self.request = request
        self.reply = reply
        self.raw = raw
    }

    /// One line for people: time, direction (`>` out, `<` in, `!` not as it should be), unit, transaction, what it says,
    /// and the bytes.
    package var text: String {
        var words = [time.rfc3339]
        let place = [unit.map { "unit \($0)" }, transaction.map { "tx \($0)" }].compactMap(\.self)
        switch kind {
        case .sent: words += [">"] + place + [PDUText.request(request)]
        case .answered(let duration):
            words += ["<"] + place + [PDUText.reply(reply, to: request), "(\(Self.milliseconds(duration)) ms)"]
        case .remark(let remark): words += ["!"] + place + [remark]
        }
        if !raw.isEmpty { words += ["|", PDUText.hex(raw)] }
        return words.joined(separator: " ")
    }

    private static func milliseconds(_ duration: Duration) -> String {
        let tenths = (duration.microseconds + 50) / 100
        return "\(tenths / 10).\(tenths % 10)"
    }
}
