import Model

extension DraftFinisher {
    /// A write whose bounds are in the wrong order, or that the registers cannot hold, goes with a remark: without them a
    /// point would be writable further than its source ever was.
    func withPossibleBounds(_ point: DraftPoint) -> DraftPoint {
        guard let write = point.write, write.low != nil || write.high != nil else { return point }
        var point = point
        let isReversed = if let low = write.low, let high = write.high { low.double > high.double } else { false }
        let misfit = [write.low, write.high].compactMap(\.self).first { !fits($0, point) }
        guard isReversed || misfit != nil else { return point }
        let reason = misfit.map { "\($0) does not fit its registers" } ?? "min is above max"
        reporter.leftOut(point.node, "'\(point.title)': \(reason); taken as read-only")
        point.write = nil
        return point
    }

    private func fits(_ bound: DecimalNumber, _ point: DraftPoint) -> Bool {
        let encoding = Encoding(
            type: point.type, order: point.order, registerCount: point.registerCount, bits: point.bits,
            scale: point.scale, offset: point.offset)
        guard point.scaleKey == nil, encoding.datatype.isNumeric else { return true }
        do throws(EncodingError) {
            _ = try encoding.encodeField(.double(bound.double))
            return true
        } catch {
            return false
        }
    }
}
