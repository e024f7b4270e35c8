import Model

extension JSONWriter {
    /// The readings of a batch, in its order, as the elements of an array that is already open.
    mutating func readings(_ batch: ReadingBatch, _ heads: [[UInt8]], _ units: [[UInt8]]) {
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
            raw(heads[point])
            continueRaw(time)
            continueRaw(Self.valueKey)
            continueValue(batch.values[index])
            continueRaw(units[point])
            continueQuality(batch.reasons[index])
            continueRaw(Self.numberKey)
            continueInteger(batch.numbers[index])
            if let first = words.first, first.reading == index {
                continueRawWords(first.words)
                words.removeFirst()
            }
            continueRaw(Self.end)
        }
    }

    private static let valueKey = Array(#"","value":"#.utf8)
    private static let numberKey = Array(#","n":"#.utf8)
    private static let end = Array("}".utf8)
    private static let good = Array(#","quality":"good""#.utf8)

    private mutating func continueQuality(_ reasons: QualityReasons) {
        if reasons.isEmpty { return continueRaw(Self.good) }
        continueRaw(#","quality":"\#(reasons.quality.name)","reasons":["#.utf8)
        let codes = reasons.reasons.map { "\"\($0.code)\"" }.joined(separator: ",")
        continueRaw("\(codes)]".utf8)
    }

    private mutating func continueRawWords(_ words: [UInt16]) {
        continueRaw(#","raw":""#.utf8)
        for word in words {
            continueRaw((0..<4).map { Self.hex[Int(word >> (12 - 4 * UInt16($0)) & 15)] })
        }
        continueRaw("\"".utf8)
    }
}
