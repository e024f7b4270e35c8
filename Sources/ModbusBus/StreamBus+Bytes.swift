import Engine
import Model
import NIOCore

/// What comes, and what does not.
extension StreamBus {
    func received(_ buffer: ByteBuffer) {
        switch framing {
        case .tcp:
            tcpFrames.append(buffer.readableBytesView)
            takeFrames()
        case .rtu: receivedRTU(buffer)
        }
    }

    /// A request was answered: what that says about the channel.
    private func answered(_ transaction: UInt16, _ request: Waiting, _ pdu: [UInt8]) {
        if let late = patience.answered(at: clock.uptime) { adviseDelay(late) }
        closings.answered()
        backoff.opened()
        if !remarks.isEmpty { remarks[request.expected.unit] = nil }
        if connection.inFlight > 1 { noteCompany(request, isAnswered: true) }
        traceAnswer(transaction, request, pdu)
        finish(transaction, with: .success(pdu))
    }

    private func adviseDelay(_ late: Duration) {
        guard !hasAdvisedDelay else { return }
        hasAdvisedDelay = true
        let seconds = (late.milliseconds + 999) / 1000
        telling.note(
            BusNote(
                .notice,
                "\(endpoint) gave its first answer \(late.milliseconds) ms after the connection was opened; "
                    + "connect_delay: \(seconds)s saves the time-outs before it"))
    }

    private func noteCompany(_ request: Waiting, isAnswered: Bool) {
        if let words = company.ended(company: request.company, isAnswered: isAnswered) {
            telling.note(BusNote(.warning, "\(endpoint): \(words)"))
        }
    }

    func sawEcho(_ unit: UInt8, _ bytes: [UInt8]) {
        trace("\(LocalEcho.words) was dropped: \(bytes.count) bytes", unit: unit, bytes)
        if echo.seen() { telling.note(BusNote(.warning, "\(endpoint): \(LocalEcho.advice)")) }
    }

    // MARK: - RTU

    private func receivedRTU(_ buffer: ByteBuffer) {
        guard let (transaction, request) = waiting.first else { return strayed(Array(buffer.readableBytesView)) }
        rtuReply.append(buffer.readableBytesView)
        let frame = RTUReply.frame(unit: request.expected.unit, pdu: request.pdu)
        switch rtuReply.verdict(request.expected, request: frame, echo.knowledge) {
        case .reply(let reply, let how):
            switch how {
            case .before: sawEcho(request.expected.unit, frame)
            case .none: echo.missed()
            case .untold: break
            }
            if reply == request.pdu { lastEqual = frame }
            answered(transaction, request, reply)
        case .held(let reply): waiting[transaction]?.held = reply
        case .wait:
            guard case .mismatch(let words)? = rtuReply.objection(to: request.expected, request: frame) else { return }
            trace(words, unit: request.expected.unit, rtuReply.bytes)
            figures.garbled += 1
            restLine(request)
            finish(transaction, with: .failure(Failure(error: .mismatch(words))))
        }
    }

    private func strayed(_ bytes: [UInt8]) {
        if !lastEqual.isEmpty, bytes.starts(with: lastEqual) {
            sawEcho(lastEqual[0], lastEqual)
            lastEqual = []
        }
        figures.strays += 1
        late.strayed(byteCount: bytes.count, at: clock.uptime)
        trace("a late reply or noise was dropped: \(bytes.count) bytes", bytes)
    }

    /// RTU has no transaction id: what may still come must come and go before the next request.
    private func restLine(_ request: Waiting) {
        late.missed(request.expected.unit, at: clock.uptime)
        quietUntil = clock.uptime + late.silence(after: request.timeout, at: clock.uptime)
    }

    // MARK: - TCP

    private func takeFrames() {
        do throws(BusError) {
            while let frame = try nextFrame() { take(frame) }
        } catch {
            guard !waiting.isEmpty else { return clearFrames() }
            figures.garbled += 1
            trace("not Modbus TCP: the connection is given up")
            fail(with: Failure(error: error))
            dropChannel()
        }
        traceDropped()
    }

    private func nextFrame() throws(BusError) -> TCPFrames.Frame? {
        try tcpFrames.next(
            isKnown: { waiting[$0] != nil || abandoned.contains($0) },
            awaited: {
                waiting.map { .init(transaction: $0, unit: $1.expected.unit, function: $1.expected.function) }
            })
    }

    func clearFrames() {
        tcpFrames.clear()
        traceDropped()
    }

    private func traceDropped() {
        let dropped = tcpFrames.takeDropped()
        guard !dropped.isEmpty else { return }
        figures.strays += 1
        trace("bytes that belong to no answer were dropped: \(dropped.count) bytes", dropped)
    }

    /// A frame is an answer only if transaction, unit and function are those of a request under way.
    private func take(_ frame: TCPFrames.Frame) {
        guard let request = waiting[frame.transaction] else {
            figures.strays += 1
            abandoned.remove(frame.transaction)
            return traceStray(frame)
        }
        guard request.expected.unit == frame.unit else { return misaddressed(frame, request) }
        if frame.pdu == request.pdu, isEcho(frame, request) { return }
        answered(frame.transaction, request, frame.pdu)
    }

    /// Whether a frame that equals its request is what a gateway heard of itself on its line.
    private func isEcho(_ frame: TCPFrames.Frame, _ request: Waiting) -> Bool {
        let isAdmitted = request.expected.admits(frame.pdu[...])
        let bytes = TCPFrames.frame(transaction: frame.transaction, unit: frame.unit, pdu: frame.pdu)
        guard isAdmitted else {
            sawEcho(frame.unit, bytes)
            return true
        }
        if request.held != nil {
            sawEcho(frame.unit, bytes)
            return false
        }
        let isWrite = request.expected.reply != nil
        guard echo.knowledge == .present || (echo.knowledge == .unknown && !isWrite) else {
            lastEqual = bytes
            return false
        }
        waiting[frame.transaction]?.held = frame.pdu
        return true
    }

    private func traceStray(_ frame: TCPFrames.Frame) {
        let bytes = TCPFrames.frame(transaction: frame.transaction, unit: frame.unit, pdu: frame.pdu)
        if bytes == lastEqual {
            sawEcho(frame.unit, bytes)
            lastEqual = []
            return
        }
        trace(
            "a late reply, or one to nobody's request, was dropped", unit: frame.unit, transaction: frame.transaction,
            bytes)
    }

    /// It is dropped, since the right answer may still come; if none does, it is what is to be said about the time-out.
    private func misaddressed(_ frame: TCPFrames.Frame, _ request: Waiting) {
        figures.garbled += 1
        let words = "a reply from unit \(frame.unit) instead of \(request.expected.unit)"
        trace(
            "\(words) was dropped", unit: frame.unit, transaction: frame.transaction,
            TCPFrames.frame(transaction: frame.transaction, unit: frame.unit, pdu: frame.pdu))
        waiting[frame.transaction]?.objection = words
    }

    // MARK: - Time-outs

    func expired(_ transaction: UInt16) {
        guard let request = waiting.removeValue(forKey: transaction) else { return }
        let unit = request.expected.unit
        // A write that may have been answered by its echo: no second copy came, so it was the answer.
        if let held = request.held, request.expected.reply != nil, echo.knowledge == .unknown {
            waiting[transaction] = request
            lastEqual = RTUReply.frame(unit: unit, pdu: request.pdu)
            echo.missed()
            return answered(transaction, request, held)
        }
        figures.timeouts += 1
        if framing == .tcp { abandon(transaction) }
        if connection.inFlight > 1 { noteCompany(request, isAnswered: false) }
        let error = unanswered(request)
        trace(words(error, request), unit: unit, transaction: shown(transaction), rtuReply.bytes)
        if framing == .rtu { restLine(request) }
        request.continuation.resume(returning: .failure(Failure(error: error)))
        if !request.isSeeking, request.objection == nil { losePatience() }
    }

    private func words(_ error: BusError, _ request: Waiting) -> String {
        if case .garbled(let words) = error { return words }
        return "no answer in time" + (remarks[request.expected.unit].map { ": \($0)" } ?? "")
    }

    private func abandon(_ transaction: UInt16) {
        if abandoned.count >= 256 { abandoned.removeAll() }
        abandoned.insert(transaction)
    }

    /// What it was that came instead of an answer.
    private func unanswered(_ request: Waiting) -> BusError {
        let unit = request.expected.unit
        if let objection = request.objection { return .garbled(objection) }
        let frame = RTUReply.frame(unit: unit, pdu: request.pdu)
        if request.held != nil || (framing == .rtu && rtuReply.isOnlyEcho(of: frame)) {
            if request.held == nil || echo.knowledge == .present { sawEcho(unit, frame) }
            remarks[unit] = "only the \(LocalEcho.words) came back"
            return .noResponse
        }
        if framing == .tcp, !tcpFrames.isEmpty, waiting.isEmpty {
            clearFrames()
            return .garbled("bytes that are no Modbus TCP answer")
        }
        if framing == .rtu, !rtuReply.isEmpty {
            let objection = rtuReply.objection(to: request.expected, request: frame, isFinal: true)
            return .garbled(
                objection?.words(request.expected)
                    ?? "\(rtuReply.bytes.count) bytes that are no reply to the request")
        }
        remarks[unit] = circumstances(of: request)
        return .noResponse
    }

    /// What is known of the channel that may explain a time-out.
    private func circumstances(of request: Waiting) -> String? {
        if request.company > 0, company.isSuspect { return CompanyWatch.advice }
        guard connection.connectDelay == .zero, let silence = patience.silence(at: clock.uptime) else { return nil }
        return "nothing was answered since the connection was opened \(silence.milliseconds / 100 * 100) ms ago"
    }

    private func losePatience() {
        guard case .reopen(let silence, let next) = patience.timedOut(at: clock.uptime) else { return }
        if silence > .zero, patience.isGrowing {
            telling.note(
                BusNote(
                    .notice,
                    "\(endpoint) answered nothing in \(silence.milliseconds / 1000) s since the connection was opened: "
                        + "it is opened anew and gets \(next.milliseconds / 1000) s"))
        }
        dropChannel()
    }
}
