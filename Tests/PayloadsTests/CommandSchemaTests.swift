import Foundation
import Testing

/// What the schemas of governed commands allow and what they do not: examples of the contract, and near misses.
@Suite struct CommandSchemaTests {
    private static let id = "0193a1c4-7d1e-7c3a-9a55-0b5f0f6f2a11"
    private static let time = "2026-11-20T23:41:07.105Z"
    private static let command = CommandPayloadTests.full

    @Test(arguments: [
        (
            "event-1",
            #"{"schema":"event/1","id":"\#(id)","point":"chiller1/chw_setpoint","state":"verified","time":"\#(time)","actor":"chw-opt","value":7.5,"readback":7.5,"guards":[{"guard":"limits","verdict":"pass","inputs":{"low":5}}],"seq":12}"#
        ),
        (
            "event-1",
            #"{"schema":"event/1","id":null,"point":"a/b","state":"rejected","code":"bad_signature","time":"\#(time)","seq":0}"#
        ),
        (
            "event-1",
            #"{"schema":"event/1","id":null,"point":null,"state":"rejected","code":"bad_signature","time":"\#(time)","seq":0}"#
        ),
        (
            "held-1",
            #"{"schema":"held/1","id":"\#(id)","issuer":"chw-opt","command":\#(command),"digest":"sha256:\#(String(repeating: "0a", count: 32))","from":7.0,"until":"\#(time)","approvers":["anna"],"needed":1,"approvals":[],"escalated":false,"guards":[{"guard":"approval","verdict":"hold"}]}"#
        ),
        (
            "slot-1",
            #"{"schema":"slot/1","point":"a/b","slots":[{"slot":"ai","holder":"chw-opt","id":"\#(id)","value":7.5,"until":"\#(time)"}],"alarm":false}"#
        ),
        ("slot-1", #"{"schema":"slot/1","point":"a/b","slots":[],"restoring":7,"alarm":true}"#),
        (
            "outcome-1",
            #"{"schema":"outcome/1","id":"\#(id)","point":"a/b","issuer":"chw-opt","lane":"supervised","command":\#(command),"state":"verified","deciders":["anna"],"decided":"\#(time)","time_to_decision_s":12.5,"value":7.5,"readback":7.5,"anchor":"\#(time)","horizon":"\#(time)","measures":[{"point":"a/p","unit":"kW","expected":-6,"before":90,"after":83.5,"observed":-6.5,"coverage_before":1,"coverage_after":0.98}],"confounders":[{"id":"\#(id)","point":"c/d","time":"\#(time)"}],"usable":true}"#
        ),
    ])
    func examplesAreValid(schema: String, document: String) throws {
        #expect(try SchemaTests.complaints(Array(document.utf8), schema: schema) == "")
    }

    @Test(arguments: [
        ("event-1", #"{"schema":"event/1","point":"a/b","state":"verified","time":"\#(time)","seq":1}"#),
        ("event-1", #"{"schema":"event/1","id":null,"point":"a/b","state":"rejected","time":"\#(time)","seq":1}"#),
        ("event-1", #"{"schema":"event/1","id":null,"point":"a/b","state":"done","time":"\#(time)","seq":1}"#),
        ("event-1", #"{"schema":"event/1","id":null,"point":"a","state":"verified","time":"\#(time)","seq":1}"#),
        (
            "slot-1",
            #"{"schema":"slot/1","point":"a/b","slots":[{"slot":"boss","holder":"x","value":1}],"alarm":false}"#
        ),
        (
            "decision-1",
            #"{"schema":"decision/1","id":"\#(id)","decision":"deny","issued":"\#(time)","expires":"\#(time)"}"#
        ),
        ("command-1", command.replacingOccurrences(of: ",\"unit\":\"Cel\"", with: "")),
        ("command-1", command.replacingOccurrences(of: "\"set\"", with: "\"release\"")),
        ("command-1", command.replacingOccurrences(of: "\"expires\":\"2026-11-20T23:42:00Z\",", with: "")),
        ("command-1", command.replacingOccurrences(of: "\"recommendation\"", with: "\"recomendation\"")),
    ])
    func nearMissesAreNot(schema: String, document: String) throws {
        let complaints = try SchemaTests.complaints(Array(document.utf8), schema: schema)
        #expect(complaints != "" && !complaints.hasPrefix("validator failed"), "\(complaints)")
    }
}
