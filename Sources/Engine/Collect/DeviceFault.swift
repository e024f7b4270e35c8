package import Model

/// What went wrong last with a device, in words.
package struct DeviceFault: Hashable, Sendable {
    /// What its readings carry for it.
    package var reason: QualityReason
    /// Which request, and what came of it: `function 4 on input 7…9: exception 02 illegal data address`.
    package var words: String
    /// Whether something came that says more than that there was no valid answer.
    package var isSpecific: Bool
    package var time: UnixTime

    /// - Parameter remark: what was seen on the channel instead of an answer.
    init(_ error: BusError, reading span: RegisterSpan, remark: String?, at time: UnixTime) {
        let request = "function \(span.table.readFunction) on \(span): "
        reason = PollFault(error).reason
        isSpecific = true
        self.time = time
        switch error {
        case .linkDown(let reason): words = reason
        case .noResponse:
            words = request + "no answer in time" + (remark.map { ": \($0)" } ?? "")
            isSpecific = remark != nil
        case .garbled(let reason), .mismatch(let reason), .invalidRequest(let reason): words = request + reason
        case .refused(let code): words = request + ExceptionMeaning.coded(code)
        }
    }

    /// Nil where nothing was sent.
    init?(_ failure: WriteFailure, writing write: RegisterWrite, at time: UnixTime) {
        let request = "function \(write.function) on \(write.span): "
        isSpecific = true
        self.time = time
        switch failure {
        case .refused(let code):
            reason = PollFault(.refused(code)).reason
            words = request + ExceptionMeaning.coded(code)
        case .indeterminate(let words):
            reason = .timeout
            self.words = request + words
        case .notSent: return nil
        }
    }
}

extension Poller {
    /// Keeps the fault of a read for people to see.
    func keepFault(_ error: BusError, reading span: RegisterSpan, of index: Int) async {
        guard !isPaused else { return }
        let remark = error == .noResponse ? await bus.remark(on: devices[index].device.unit) : nil
        let fault = DeviceFault(error, reading: span, remark: remark, at: clock.utc)
        board.update(devices[index].device.id) { $0.lastFault = fault }
    }

    func keepFault(_ failure: WriteFailure, writing write: RegisterWrite, of index: Int) {
        guard let fault = DeviceFault(failure, writing: write, at: clock.utc) else { return }
        board.update(devices[index].device.id) { $0.lastFault = fault }
    }
}
