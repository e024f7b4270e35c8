import Engine
import Model
import Payloads

extension JournalVerification {
    // MARK: - For people

    package var text: String {
        var lines: [String] = []
        for (gateway, verdict) in verdicts.sorted(by: { $0.key < $1.key }) {
            lines.append(gateway.isEmpty ? "journal    \(path)" : "gateway    \(gateway)")
            lines += self.lines(verdict)
        }
        if verdicts.isEmpty { lines.append("nothing    no reading/1 and no gap/1 in \(path)") }
        if brokenCount > 0 { lines.append("BROKEN     \(brokenCount)") }
        for (place, why) in broken { lines.append("           \(place): \(why)") }
        lines.append(isProven ? "verdict    nothing is missing" : "verdict    NOT PROVEN")
        return lines.joined(separator: "\n")
    }

    private func lines(_ verdict: ContinuityVerdict) -> [String] {
        var lines: [String] = []
        if let span = verdict.span {
            lines.append("positions  \(span.lowerBound) to \(span.upperBound)")
        }
        lines.append("rows       \(verdict.rows), with \(verdict.readings) readings, \(verdict.gapRecords) gap records")
        if verdict.redeliveries > 0 { lines.append("duplicates \(verdict.redeliveries), each with the same content") }
        for (reason, count) in verdict.explained.sorted(by: { $0.key.rawValue < $1.key.rawValue }) {
            lines.append("explained  \(count) positions are gone: \(reason.code)")
        }
        for (reason, count) in verdict.told.sorted(by: { $0.key.rawValue < $1.key.rawValue }) {
            lines.append("told       \(reason.code): \(count == 0 ? "count unknown" : "\(count)")")
        }
        func add<Finding>(_ findings: ContinuityVerdict.Findings<Finding>, _ what: String, _ text: (Finding) -> String)
        {
            guard findings.count > 0 else { return }
            let examples = findings.examples.map(text).joined(separator: ", ")
            lines.append(
                "PROBLEM    \(findings.count) \(what): \(examples)\(findings.count > findings.examples.count ? ", …" : "")"
            )
        }
        add(verdict.unexplained, "unexplained holes") {
            $0.count == 1 ? "\($0.lowerBound)" : "\($0.lowerBound)–\($0.upperBound)"
        }
        add(verdict.changed, "positions with two contents") { "\($0)" }
        add(verdict.incomplete, "rows of which parts are missing") { "\($0)" }
        add(verdict.epochsBackwards, "rows with an earlier epoch than the row before") { "\($0)" }
        add(verdict.numberHoles, "holes in n that nothing explains", Self.words)
        add(verdict.numbersTwice, "n that came twice", Self.words)
        add(verdict.outOfOrder, "points whose n does not rise with seq", Self.words)
        return lines
    }

    private static func words(_ numbers: ContinuityVerdict.Numbers) -> String {
        "\(numbers.point) epoch \(numbers.epoch) n \(numbers.numbers.lowerBound) to \(numbers.numbers.upperBound)"
    }

    // MARK: - For programs

    package var json: [UInt8] {
        var json = JSONWriter()
        json.object { json in
            json.member("kind") { $0.string(kind.rawValue) }
            json.member("proven") { $0.bool(isProven) }
            json.member("broken") { $0.integer(brokenCount) }
            json.member("other_documents") { $0.integer(others) }
            json.member("gateways") {
                $0.array { list in
                    for (gateway, verdict) in verdicts.sorted(by: { $0.key < $1.key }) {
                        list.object { $0.verdict(verdict, gateway: gateway) }
                    }
                }
            }
        }
        return json.bytes
    }
}

extension JSONWriter {
    fileprivate mutating func verdict(_ verdict: ContinuityVerdict, gateway: String) {
        if !gateway.isEmpty { member("gateway") { $0.string(gateway) } }
        optional("first_seq", verdict.span?.lowerBound) { $0.integer($1) }
        optional("last_seq", verdict.span?.upperBound) { $0.integer($1) }
        member("rows") { $0.integer(verdict.rows) }
        member("readings") { $0.integer(verdict.readings) }
        member("gap_records") { $0.integer(verdict.gapRecords) }
        member("duplicates") { $0.integer(verdict.redeliveries) }
        member("explained") {
            $0.object { list in
                for (reason, count) in verdict.explained.sorted(by: { $0.key.rawValue < $1.key.rawValue }) {
                    list.member(reason.code) { $0.integer(count) }
                }
            }
        }
        member("unexplained_holes") {
            $0.array { list in
                for hole in verdict.unexplained.examples {
                    list.object {
                        $0.member("from_seq") { $0.integer(hole.lowerBound) }
                        $0.member("to_seq") { $0.integer(hole.upperBound) }
                    }
                }
            }
        }
        member("unexplained_hole_count") { $0.integer(verdict.unexplained.count) }
        member("changed") { $0.array { list in verdict.changed.examples.forEach { list.integer($0) } } }
        member("incomplete") { $0.array { list in verdict.incomplete.examples.forEach { list.integer($0) } } }
        member("epochs_backwards") { $0.integer(verdict.epochsBackwards.count) }
        member("n_holes") { $0.integer(verdict.numberHoles.count) }
        member("n_twice") { $0.integer(verdict.numbersTwice.count) }
        member("out_of_order") { $0.integer(verdict.outOfOrder.count) }
    }
}
