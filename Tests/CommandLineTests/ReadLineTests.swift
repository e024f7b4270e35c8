import Gateway
import Model
import Testing

/// What `headgate read` prints of one reading.
@Suite struct ReadLineTests {
    @Test(arguments: [
        (#"{"point":"d/mode","value":2,"label":"hand","unit":"1","quality":"good"}"#, "d/mode\t2 (hand)\t1\tgood"),
        (#"{"point":"d/door","value":false,"label":"open","quality":"good"}"#, "d/door\tfalse (open)\t\tgood"),
        (
            #"{"point":"d/temp","value":0.30000000000000004,"unit":"Cel","quality":"uncertain","reasons":["spike","drift"]}"#,
            "d/temp\t0.3\tCel\tuncertain (spike, drift)"
        ),
        (
            #"{"point":"d/temp","value":null,"unit":"Cel","quality":"bad","reasons":["timeout"]}"#,
            "d/temp\tnull\tCel\tbad (timeout)"
        ),
    ])
    func aReadingIsOneLineWithItsLabel(json: String, line: String) throws {
        #expect(ReadLine(try JSONValue(parsing: Array(json.utf8))).text == line)
    }
}
