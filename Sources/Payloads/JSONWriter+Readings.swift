import Model

extension JSONWriter {
    /// The readings of a batch, in its order, as the elements of an array that is already open.
    mutating func readings(_ batch: ReadingBatch, _ heads: PackedTexts, _ units: PackedTexts) {
        var words = batch.raw[...]
        var time: [UInt8] = []
        var timed: UnixTime?
        for index in batch.points.indices {
            let point = Int(batch.points[index])
            guard point < heads.count else { continue }
            if timed != batch.times[index] {
                time.removeAll(keepingCapacity: true)
                batch.times[index].appendRFC3339(to: &time)
                timed = batch.times[index]
            }
            heads.withText(point) { raw($0) }
            time.withUnsafeBufferPointer { continueRaw($0) }
            continueRaw(#"","value":"#)
            continueValue(batch.values[index])
            units.withText(point) { continueRaw($0) }
            continueQuality(batch.reasons[index])
            continueRaw(#","n":"#)
            continueInteger(batch.numbers[index])
            if let first = words.first, first.reading == index {
                continueRawWords(first.words)
                words.removeFirst()
            }
            continueRaw("}")
        }
    }

    private mutating func continueQuality(_ reasons: QualityReasons) {
        if reasons.isEmpty { return continueRaw(#","quality":"good""#) }
        continueRaw(#","quality":"\#(reasons.quality.name)","reasons":["#.utf8)
        let codes = reasons.reasons.map { "\"\($0.code)\"" }.joined(separator: ",")
        continueRaw("\(codes)]".utf8)
    }

    private mutating func continueRawWords(_ words: [UInt16]) {
        continueRaw(#","raw":""#)
        for word in words {
            continueRaw((0..<4).map { Self.hex[Int(word >> (12 - 4 * UInt16($0)) & 15)] })
        }
        continueRaw("\"")
    }
}
