import Console
import Model

extension ControlClient {
    /// Asks the gateway that runs on a state folder for a document.
    ///
    /// - Parameter member: what an answer has that is no error.
    /// - Throws: where no gateway runs, where it refuses, and where its answer is something else.
    static func document(
        of request: String, with member: String, stateFolder: String
    ) throws(DeskProblem) -> JSONValue {
        guard let answer = ControlClient(stateFolder: stateFolder).ask(request, timeout: .seconds(5)) else {
            throw .noGateway(folder: stateFolder)
        }
        guard let reply = try? JSONValue(parsing: Array(answer.utf8)) else { throw .unexpected(answer) }
        if let message = reply["error"] { throw .refused(code: nil, message: message.text ?? "") }
        guard reply[member] != nil else { throw .unexpected(answer) }
        return reply
    }
}
