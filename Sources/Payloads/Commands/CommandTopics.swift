package import Engine
package import Model

/// The topics of governed commands under `headgate/v1/{gateway}`.
package struct CommandTopics: Sendable {
    /// What a message that comes in is about.
    package enum Inbound: Hashable, Sendable {
        /// `c/req/{device}/{point}`, with `device/point`.
        case request(point: String)
        /// `c/decide/{id}`
        case decision(CommandID)
        /// `c/ctl`
        case control
    }

    private let root: String

    package init(gateway: String) {
        root = "headgate/v1/\(gateway)"
    }

    /// What persons decide and order.
    package var governing: [String] { ["\(root)/c/decide/+", "\(root)/c/ctl"] }
    /// What anyone may ask for.
    package var requests: [String] { ["\(root)/c/req/#"] }

    /// Nil for a topic that is none of these.
    package func inbound(_ topic: String) -> Inbound? {
        guard topic.hasPrefix(root + "/c/") else { return nil }
        let rest = topic.dropFirst(root.count + 3)
        if rest == "ctl" { return .control }
        if rest.hasPrefix("decide/") { return CommandID(String(rest.dropFirst(7))).map { .decision($0) } }
        guard rest.hasPrefix("req/") else { return nil }
        let point = rest.dropFirst(4)
        let levels = point.utf8.split(separator: UInt8(ascii: "/"), omittingEmptySubsequences: false)
        guard levels.count >= 2, point.utf8.count <= 256,
            levels.allSatisfy({ !$0.isEmpty && $0.allSatisfy(Self.isIDByte) })
        else { return nil }
        return .request(point: String(point))
    }

    private static func isIDByte(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"): true
        case _: false
        }
    }

    package func event(point: String) -> String { "\(root)/c/evt/\(point)" }

    /// Retained while a person must decide.
    package func held(_ id: CommandID) -> String { "\(root)/c/held/\(id)" }

    /// Retained.
    package func slot(point: String) -> String { "\(root)/c/slot/\(point)" }

    package func outcome(_ id: CommandID) -> String { "\(root)/o/\(id)" }

    /// The newest checkpoint of the audit log, retained: whoever keeps it can convict a gateway of another history.
    ///
    /// - Parameter note: as signed; it is published as it is, in the text form of https://c2sp.org/tlog-checkpoint.
    package func checkpoint(_ note: [UInt8]) -> OutboundMessage {
        OutboundMessage(
            topic: "\(root)/audit/checkpoint", payload: note, isRetained: true, contentType: "text/plain; charset=utf-8"
        )
    }
}
