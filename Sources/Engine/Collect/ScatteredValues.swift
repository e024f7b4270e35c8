import Model

/// Puts values together that lie in several places, out of the answers of one poll.
struct ScatteredValues {
    struct Value {
        let point: Int
        fileprivate var words: [[UInt16]]
        fileprivate var missing: Int
        fileprivate var fault: PollFault?
        fileprivate var blocks: Set<RegisterSpan> = []
        /// When the last of its registers were read.
        fileprivate var time = UnixTime(microseconds: 0)

        /// One sample of the point: a fault of one part is a fault of the value.
        func append(to samples: inout Samples, _ point: Point) {
            let index = samples.points.count
            if let fault {
                samples.append(self.point, time, .bad(fault.reason))
                return
            }
            guard missing == 0 else {
                samples.append(self.point, time, .bad(.waiting))
                return
            }
            let decoded = point.decode(words)
            samples.append(self.point, time, decoded, isAbsent: decoded == .bad(.notImplemented))
            if blocks.count > 1 { samples.torn.insert(index) }
            if point.publishesRaw { samples.raw.append(RawWords(reading: index, words: words.flatMap { $0 })) }
        }
    }

    private let points: [Point]
    private var byPoint: [Int: Value] = [:]

    init(of points: [Point]) {
        self.points = points
    }

    var values: [Value] { byPoint.values.sorted { $0.point < $1.point } }

    mutating func add(_ answer: PollAnswer) {
        for item in answer.block.items {
            guard let parts = points[item.point].parts else { continue }
            let count = parts.items.count
            var value =
                byPoint[item.point]
                ?? Value(point: item.point, words: Array(repeating: [], count: count), missing: count)
            value.time = answer.time
            value.blocks.insert(answer.block.span)
            switch answer.result {
            case .success(let words):
                value.words[item.part] = Array(words[item.offset..<(item.offset + item.registerCount)])
                value.missing -= 1
            case .failure(let fault): value.fault = value.fault ?? fault
            }
            byPoint[item.point] = value
        }
    }
}
