import Engine
import Foundation
import Model
import Payloads
import Testing

/// Every kind of document against its JSON Schema, by a validator that is not ours (python3-jsonschema).
@Suite struct SchemaTests {
    static let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent()

    /// - Returns: what the validator complains about, empty when nothing.
    static func complaints(_ document: [UInt8], schema: String) throws -> String {
        let script = """
            import json, sys, jsonschema
            schema = json.load(open(sys.argv[1]))
            jsonschema.Draft202012Validator.check_schema(schema)
            for error in jsonschema.Draft202012Validator(schema).iter_errors(json.load(sys.stdin)):
                print(error.json_path, error.message)
            """
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/python3")
        process.arguments = [
            "-c", script, root.appendingPathComponent("Sources/Payloads/Schemas/\(schema).schema.json").path,
        ]
        let (input, output) = (Pipe(), Pipe())
        process.standardInput = input
        process.standardOutput = output
        process.standardError = output
        try process.run()
        try input.fileHandleForWriting.write(contentsOf: Data(document))
        try input.fileHandleForWriting.close()
        let text = String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
        process.waitUntilExit()
        return process.terminationStatus == 0 ? text : "validator failed: \(text)"
    }

    static let device = Device(
        id: "chiller1", profile: "demo/chiller", revision: 2, connection: "hall2", unit: 1, owner: "energy-team",
        labels: [Label(key: "line", value: "cooling")],
        points: [
            Point(
                name: "supply", table: .input, protocolAddress: 0,
                encoding: Encoding(type: .int16, scale: DecimalNumber(mantissa: 1, exponent: -1), sentinels: [0x8000]),
                unit: "Cel", range: NumericRange(low: 4, high: 14), limits: NumericRange(low: -40, high: 80),
                deadband: 0.2),
            Point(
                name: "mode", table: .holding, protocolAddress: 9, encoding: Encoding(type: .uint16), kind: .state,
                enumeration: [EnumerationLabel(code: 0, label: "off \"now\"")], publishesRaw: true),
            Point(
                name: "running", table: .coil, protocolAddress: 3, encoding: Encoding(type: .bool), kind: .state,
                summary: "The compressor runs"),
        ])

    static func entry() -> JournalEntry {
        var batch = ReadingBatch(layout: 1)
        let time = UnixTime(milliseconds: 1_795_218_067_105)
        batch.append(
            point: 0, time: time, value: .decimal(DecimalNumber(mantissa: 72, exponent: -1)), reasons: [], number: 7)
        batch.append(point: 1, time: time, value: .null, reasons: QualityReasons(.sentinel), number: 8)
        batch.append(point: 2, time: time, value: .bool(true), reasons: QualityReasons(.localOverride), number: 9)
        batch.raw = [RawWords(reading: 1, words: [0x8000, 0x0012])]
        return JournalEntry(position: 90_211, epoch: 41, body: .readings(batch))
    }

    static func encoder() throws -> JSONReadings {
        JSONReadings(gateway: "gw-07", topic: try TopicTemplate("headgate/v1/{gateway}/r/{device}"), qos: 1)
    }

    @Test func readingsAreValidAndLookLikeTheContract() throws {
        let layout = DeviceDocument(Self.device).layout
        let messages = try Self.encoder().messages(
            for: Self.entry(), layout: layout, isReplay: true, sent: UnixTime(milliseconds: 1_795_218_067_412),
            packetLimit: nil)
        let message = try #require(messages.first)
        #expect(try Self.complaints(message.payload, schema: "reading-1") == "")
        #expect(message.topic == "headgate/v1/gw-07/r/chiller1")
        let text = String(decoding: message.payload, as: UTF8.self)
        let head =
            #"{"schema":"reading/1","gateway":"gw-07","epoch":41,"seq":90211,"sent":"2026-11-20T23:41:07.412Z","replay":true,"#
        #expect(text.hasPrefix(head + #""device":"chiller1","readings":[{"point":"chiller1/supply","def":""#))
        #expect(text.contains(#""value":7.2,"unit":"Cel","quality":"good","n":7}"#))
        #expect(
            text.contains(#""value":null,"unit":"1","quality":"bad","reasons":["sentinel"],"n":8,"raw":"80000012"}"#))
        #expect(text.hasSuffix(#""value":true,"quality":"good","reasons":["local_override"],"n":9}]}"#))
    }

    @Test func liveReadingsSayNothingOfReplay() throws {
        let layout = DeviceDocument(Self.device).layout
        let messages = try Self.encoder().messages(
            for: Self.entry(), layout: layout, isReplay: false, sent: UnixTime(milliseconds: 0), packetLimit: nil)
        let message = try #require(messages.first)
        #expect(!String(decoding: message.payload, as: UTF8.self).contains("replay"))
    }

    @Test(arguments: [true, false])
    func gapsAreValid(isFull: Bool) throws {
        let time = UnixTime(milliseconds: 5)
        let gap = GapRecord(
            device: isFull ? "chiller1" : nil, positions: isFull ? 3...9 : nil, from: time, to: time,
            reason: isFull ? .bufferEvicted : .restart, count: isFull ? 7 : 0)
        let messages = try Self.encoder().messages(
            for: JournalEntry(position: 4, epoch: 1, body: .gap(gap)), layout: nil, isReplay: false, sent: time,
            packetLimit: nil)
        let message = try #require(messages.first)
        #expect(try Self.complaints(message.payload, schema: "gap-1") == "")
        #expect(message.topic == (isFull ? "headgate/v1/gw-07/gap/chiller1" : "headgate/v1/gw-07/gap"))
    }

    @Test func deviceDocumentsAreValidAndRetained() throws {
        let message = DeviceDocument(Self.device).message(gateway: "gw-07")
        #expect(try Self.complaints(message.payload, schema: "device-1") == "")
        #expect(message.isRetained)
    }

    @Test func descriptorsAreNamedByTheHashOfTheirCanonicalJSON() throws {
        let script = """
            import json, sys, hashlib
            point = json.load(sys.stdin)
            named = point.pop("hash")
            text = json.dumps(point, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
            sys.exit(0 if hashlib.sha256(text.encode()).hexdigest()[:16] == named else 1)
            """
        for point in Self.device.points {
            let process = Process()
            process.executableURL = URL(fileURLWithPath: "/usr/bin/python3")
            process.arguments = ["-c", script]
            let input = Pipe()
            process.standardInput = input
            try process.run()
            try input.fileHandleForWriting.write(contentsOf: Data(PointDescriptor(point, of: Self.device).json))
            try input.fileHandleForWriting.close()
            process.waitUntilExit()
            #expect(process.terminationStatus == 0, "\(point.name)")
        }
    }

    @Test(arguments: [StatusDocument.State.online, .offline, .stopping])
    func statusIsValid(state: StatusDocument.State) throws {
        var device = DeviceStatus()
        device.state = .degraded
        device.since = UnixTime(milliseconds: 1)
        device.trouble = "bad_address"
        device.learned.refused = [RegisterSpan(table: .holding, start: 4, registerCount: 2)]
        var draining = PublisherFigures()
        (draining.state, draining.setAside, draining.drainSeconds) = (.draining, 3, 12.5)
        let document = StatusDocument(
            gateway: "gw-07", state: state, epoch: 3, version: "0.1.0",
            time: state == .offline ? nil : UnixTime(milliseconds: 1),
            devices: ["chiller1": device], journal: JournalFigures(first: 1, next: 9, byteCount: 4096),
            publishers: ["plant": PublisherFigures(), "cloud": draining])
        var commanded = document
        commanded.commands = CommandsStatus(
            state: .refused, fault: "disk full", unrecorded: 3,
            alarms: [CommandAlarm(point: "a/b", fallback: .int(7), reason: "gone", isOrphaned: true)])
        #expect(try Self.complaints(commanded.json, schema: "status-1") == "")
        #expect(try Self.complaints(document.json, schema: "status-1") == "")
    }

    @Test(arguments: [
        (PointValue.int(9_007_199_254_740_991), "9007199254740991"),
        (.int(9_007_199_254_740_992), "\"9007199254740992\""),
        (.int(-5), "-5"), (.uint(.max), "\"18446744073709551615\""), (.float(230.2), "230.2"), (.float(1e-7), "1e-07"),
        (.double(0.1), "0.1"), (.double(.nan), "null"), (.string("a\"\u{1}\n"), #""a\"\u0001\n""#), (.float(5), "5"),
    ])
    func valuesAreWrittenAsTheContractSays(value: PointValue, text: String) {
        var json = JSONWriter()
        json.value(value)
        #expect(String(decoding: json.bytes, as: UTF8.self) == text)
    }

    @Test func topicsTakeLabelsAndRefuseWildcards() throws {
        let template = try TopicTemplate("{labels.enterprise}/{labels.site}/{device}")
        #expect(
            template.topic(
                gateway: "g", device: "d/e",
                labels: [Label(key: "enterprise", value: "a+b"), Label(key: "site", value: "s")])
                == "a_b/s/d/e")
        #expect(throws: TopicTemplate.Problem.self) { try TopicTemplate("a/#") }
        #expect(throws: TopicTemplate.Problem.self) { try TopicTemplate("a/{unknown}") }
    }
}
