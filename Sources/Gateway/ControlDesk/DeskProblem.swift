package import Model

/// Why the desk did not do what was asked, in words for whoever asked.
package enum DeskProblem: Error, Hashable, Sendable, CustomStringConvertible {
    /// Nobody listens in this state folder.
    case noGateway(folder: String)
    /// The gateway took the request, or not: nobody knows.
    case unanswered
    /// The request has more bytes than the socket takes.
    case tooLong(byteCount: Int, limit: Int)
    /// The gateway says no. Without a code the request itself was wrong.
    case refused(code: String?, message: String)
    /// The gateway speaks another language, perhaps another version's.
    case unexpected(String)

    /// A refusal that is noticed before the gateway is asked.
    package static func refused(_ code: RefusalCode, _ message: String) -> DeskProblem {
        .refused(code: code.rawValue, message: message)
    }

    package var description: String {
        switch self {
        case .noGateway(let folder): "no gateway answers on \(folder): none runs, or you may not talk to it"
        case .unanswered: "the gateway did not answer in time; whether it did what was asked is not known"
        case .tooLong(let byteCount, let limit):
            "the request has \(byteCount) bytes and the gateway takes \(limit); shorten the texts"
        case .refused(let code?, let message): "refused (\(code)): \(TextTable.safe(message))"
        case .refused(nil, let message): "refused: \(TextTable.safe(message))"
        case .unexpected(let answer): "unexpected answer: \(TextTable.safe(String(answer.prefix(200))))"
        }
    }
}
