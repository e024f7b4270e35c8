import Engine
import Foundation
import Model
import Payloads
import Testing

/// `control/1`: what lets go of something says which gateway it is for.
@Suite struct ControlPayloadTests {
    private static let times = #""issued":"2026-11-20T23:40:00Z","expires":"2026-11-20T23:41:00Z"}"#
    static let stop = #"{"schema":"control/1","order":"lockout","scope":"site","on":true,"# + times
    static let go = #"{"schema":"control/1","gateway":"gw-07","order":"lockout","scope":"site","on":false,"# + times
    static let lane =
        #"{"schema":"control/1","gateway":"gw-07","order":"lane","issuer":"opt","point":"a/b","lane":"advise","# + times

    static let done =
        #"{"schema":"control/1","gateway":"gw-07","order":"acknowledge","point":"a/b","reason":"by hand","# + times
    static let why =
        #"{"schema":"control/1","gateway":"gw-07","order":"explain","id":"0193a1c4-7d1e-7c3a-9a55-0b5f0f6f2a11","reason":"comfort","#
        + times

    private func read(_ text: String) throws -> ControlDocument {
        try ControlDocument(JSONValue(parsing: Array(text.utf8)))
    }

    @Test(
        arguments: [(stop, nil), (go, "gw-07"), (lane, "gw-07"), (done, "gw-07"), (why, "gw-07")] as [(String, String?)]
    )
    func ordersAreReadAndValid(text: String, gateway: String?) throws {
        #expect(try read(text).gateway == gateway)
        #expect(try SchemaTests.complaints(Array(text.utf8), schema: "control-1") == "")
    }

    @Test(arguments: [go, lane, done, why])
    func withoutAGatewayNothingIsLetGo(text: String) throws {
        let nameless = text.replacingOccurrences(of: #""gateway":"gw-07","#, with: "")
        #expect(throws: IntakeProblem.self) { try read(nameless) }
        #expect(try SchemaTests.complaints(Array(nameless.utf8), schema: "control-1") != "")
        let wrong = text.replacingOccurrences(of: #""gw-07""#, with: "7")
        #expect(throws: IntakeProblem.self) { try read(wrong) }
    }
}
