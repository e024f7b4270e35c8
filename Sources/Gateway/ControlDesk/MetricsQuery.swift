import Engine
package import Model

/// Which commands somebody wants the figures of.
package struct MetricsQuery: Hashable, Sendable {
    /// How far back.
    package var time: Duration
    package var issuer: String?
    /// `device/point`.
    package var point: String?

    package init(time: Duration, issuer: String? = nil, point: String? = nil) {
        self.time = time
        self.issuer = issuer
        self.point = point
    }

    var document: JSONValue {
        .compact([
            ("seconds", .integer(time.components.seconds)), ("issuer", .optional(issuer)), ("point", .optional(point)),
        ])
    }

    /// Nil for what is no query.
    init?(_ document: JSONValue) {
        guard let seconds = document["seconds"]?.integer(in: 1...30 * 86_400) else { return nil }
        self.init(time: .seconds(seconds), issuer: document["issuer"]?.text, point: document["point"]?.text)
    }
}

/// `headgate command metrics`: `metrics/1`, and the same as a table.
package struct MetricsOverview: Sendable {
    private let document: JSONValue

    /// - Parameter document: `metrics/1`.
    package init(document: JSONValue) {
        self.document = document
    }

    /// Reads a ledger without a gateway.
    ///
    /// - Parameter path: of a state folder.
    package init(path: String, _ query: MetricsQuery, at now: UnixTime) throws {
        let reading = try MetricsBook.read(path, from: nil, oldest: now - MetricsBook.longestTime)
        document =
            reading.metrics.report(
                since: now - query.time, now: now, issuer: query.issuer, point: query.point
            ).document
    }

    package var json: [UInt8] { document.bytes }

    package var text: String {
        let rows = document["rows"]?.elements ?? []
        guard !rows.isEmpty else { return "no command since \(document.shown("since"))" }
        var table = TextTable([
            "ISSUER", "POINT", "RECEIVED", "VERIFIED", "ACCEPTED", "DENIED", "DECIDED IN", "OVERRIDDEN", "AFTER",
            "EXCEPTIONS", "OPEN", "RESOLVED IN", "WITH OUTCOME",
        ])
        for row in rows { table.add([row.shown("issuer"), row.shown("point")] + Self.cells(row)) }
        if rows.count > 1, let total = document["total"] { table.add(["all", ""] + Self.cells(total)) }
        return ([since] + table.lines).joined(separator: "\n")
    }

    private var since: String {
        let isComplete = document["complete_from"] == document["since"]
        let rest = isComplete ? "" : " (complete from \(document.shown("complete_from")) on)"
        return "commands since \(document.shown("since"))\(rest); times are medians"
    }

    private static func cells(_ row: JSONValue) -> [String] {
        [
            row.shown("received"), row.shown("verified"), share(row["acceptance"]), share(row["denial"]),
            time(row["time_to_decision_s"]), share(row["override"]), time(row["override_after_s"]),
            row.shown("exceptions"), row.shown("exceptions_open"), time(row["resolution_s"]),
            share(row["outcome_share"]),
        ]
    }

    private static func share(_ value: JSONValue?) -> String {
        value?.double.map { "\(Int(clamping: ($0 * 100).rounded())) %" } ?? "–"
    }

    private static func time(_ spread: JSONValue?) -> String {
        spread?["median"].map { "\($0.shown) s" } ?? "–"
    }
}
