import Foundation
import Importers
import Testing

/// What nobody means to import: it is refused in words, quickly, and never by a crash.
@Suite struct HostileInputTests {
    private static func run(_ format: ImportFormat, _ bytes: [UInt8]) -> Result<ImportResult, ImportError> {
        do throws(ImportError) {
            return .success(
                try Importing.run(format, files: [ImportFile(name: "input", bytes: bytes)], options: ImportOptions()))
        } catch {
            return .failure(error)
        }
    }

    private static func refusal(_ format: ImportFormat, _ bytes: [UInt8]) -> String? {
        if case .failure(let error) = run(format, bytes) { return error.description }
        return nil
    }

    @Test(arguments: ImportFormat.allCases)
    func emptyBinaryAndHugeFilesAreRefused(format: ImportFormat) {
        #expect(Self.refusal(format, [])?.contains("empty") == true)
        #expect(Self.refusal(format, Array(" \n\t\n".utf8))?.contains("empty") == true)
        let junk = (0..<100_000).map { UInt8(truncatingIfNeeded: $0 &* 31 &+ $0 >> 7) }
        #expect(Self.refusal(format, junk)?.contains("UTF-8") == true)
        #expect(Self.refusal(format, Array("a\0b".utf8))?.contains("UTF-8") == true)
        let huge = [UInt8](repeating: UInt8(ascii: "a"), count: 10 << 20)
        #expect(Self.refusal(format, huge)?.contains("MiB") == true)
    }

    @Test(arguments: ImportFormat.allCases)
    func aFileOfAnotherKindIsToldByWhatItLacks(format: ImportFormat) throws {
        for (text, owner) in [
            ("{\"a\": [1, 2, {\"b\": null}]}", nil), ("a: 1\nb: [x]\n", nil), ("a = 1\n[b]\nc = 'x'\n", nil),
            ("x,y\n1,2\n", nil), ("<html><body>hello</body></html>", nil),
        ] as [(String, ImportFormat?)] where owner != format {
            let refusal = try #require(Self.refusal(format, Array(text.utf8)), "\(text)")
            #expect(refusal.hasPrefix("input"))
            #expect(refusal.utf8.count < 500)
        }
    }

    @Test(arguments: ImportFormat.allCases, ["[", "{\"a\":", "{a: ", "- ", "a = [", "[a.", "\"", "a.a.a.a.a.a.a.a."])
    func deepNestingIsRefused(format: ImportFormat, opening: String) {
        let deep = Array(String(repeating: opening, count: 400_000 / opening.utf8.count).utf8)
        #expect(Self.refusal(format, deep) != nil)
        let line = Array((String(repeating: opening, count: 100_000) + " = 1\n").utf8.prefix(3 << 20))
        #expect(Self.refusal(format, line) != nil)
    }

    @Test(arguments: [ImportFormat.homeAssistant, .edgex])
    func aliasesThatUnfoldWithoutEndAreRefused(format: ImportFormat) {
        var bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n"
        for level in 1..<60 {
            let items = Array(repeating: "*a\(level - 1)", count: 9).joined(separator: ", ")
            bomb += "a\(level): &a\(level) [\(items)]\n"
        }
        #expect(Self.refusal(format, Array(bomb.utf8))?.contains("aliases counted") == true)
    }

    /// The parser would abort on these; see TOMLGuard.
    @Test(arguments: [
        "timeout =\n", "timeout =", "x = ,\n", "x = [1, }]\n", "x = [}\n", "[[[\n", "[!]\n", "x = {a = }\n",
        "x = # none\n",
        "x = {a = 1]\n", "x = \u{B}\n", "x = {a =\n1}\n", "[[inputs.modbus]\nx = [\"a\", =]\n", "x = [1,\n = 2]\n",
    ])
    func aMistakeInTOMLIsToldWithItsLine(text: String) {
        #expect(Self.refusal(.telegraf, Array(text.utf8))?.contains("not TOML") == true)
    }

    @Test func arraysOverLinesAndLongStringsAreNoMistake() throws {
        let text = #"""
            title = """
            [!
            x =
            """
            path = 'C:\[' # [!
            nested = [
              [ "a", 'b' ], # x =
              [
                { k = "]" },
              ],
            ]
            "quoted [" = +1.5
            [[inputs.modbus]]
              controller = "tcp://h:502"
              coils = [ { name = "a=[", address = [0] }, ]
            """#
        guard case .success(let result) = Self.run(.telegraf, Array(text.utf8)) else {
            Issue.record("\(Self.refusal(.telegraf, Array(text.utf8)) ?? "")")
            return
        }
        #expect(result.profiles[0].yaml.contains("address: 0"))
    }

    @Test(arguments: [
        "9223372036854775807", "-9223372036854775808", "99999999999999999999", "1e60", "-1", "0", "1e-60", "null",
        "\"x\"", "[]", "{}", "true", "65535", "65536", "4294967296",
    ])
    func numbersBeyondAllBoundsAreToldAndNeverATrap(number: String) {
        let tb = """
            {"master": {"slaves": [{"host": "h", "port": \(number), "unitId": \(number), "timeout": \(number),
             "pollPeriod": \(number), "delayBetweenRequestsMs": \(number), "timeseries": [
             {"tag": "a", "type": "string", "functionCode": 3, "objectsCount": \(number), "address": 1},
             {"tag": "b", "type": "16int", "functionCode": 3, "address": \(number), "divider": \(number)},
             {"tag": "c", "type": "16int", "functionCode": 3, "address": 3, "multiplier": \(number), "variants": {"1": "x"}},
             {"tag": "d", "type": "16int", "functionCode": \(number), "address": 4}]}]}}
            """
        let ha = """
            modbus: {type: tcp, host: h, port: \(number), timeout: \(number), message_wait_milliseconds: \(number), sensors: [
            {name: a, address: \(number)}, {name: b, address: 1, count: \(number), data_type: string, virtual_count: \(number)},
            {name: c, address: 2, slave: \(number), scale: \(number), offset: \(number), nan_value: \(number), scan_interval: \(number)}],
            switches: [{name: d, address: 9, command_on: \(number), command_off: \(number)}]}
            """
        let edgex = """
            {deviceResources: [{name: a, attributes: {primaryTable: HOLDING_REGISTERS, startingAddress: \(number)},
            properties: {valueType: Int64, readWrite: RW, scale: \(number), minimum: \(number)}},
            {name: b, attributes: {primaryTable: HOLDING_REGISTERS, startingAddress: 7, stringRegisterSize: \(number)},
            properties: {valueType: String}}]}
            """
        let sunspec = """
            {"id": 1, "group": {"points": [{"name": "a", "type": "string", "size": \(number)},
             {"name": "b", "type": "int16", "sf": \(number)}, {"name": "c", "type": "bitfield16",
             "symbols": [{"name": "x", "value": \(number)}]}], "groups": [{"name": "g", "count": \(number)}]}}
            """
        let csv = """
            Name,Address,Type,Table,Scan Rate,Scaling,Raw Low,Raw High,Scaled Low,Scaled High
            a,\(number),Word,holding,\(number),Linear,0,\(number),0,\(number)
            b,1.\(number)H,String,holding,1,None,,,,
            """
        let inputs: [(ImportFormat, String)] = [
            (.thingsboard, tb), (.homeAssistant, ha), (.edgex, edgex), (.sunspec, sunspec), (.csv, csv),
        ]
        for (format, text) in inputs {
            switch Self.run(format, Array(text.utf8)) {
            case .success(let result): ImportedDocuments.check(result, "\(format) with \(number)")
            case .failure(let error): #expect(!error.description.isEmpty)
            }
        }
    }

    @Test func aRepetitionWithoutEndIsLeftOut() throws {
        let text = """
            {"id": 1, "group": {"name": "g", "points": [{"name": "x", "type": "uint16", "size": 1}],
             "groups": [{"name": "a", "count": 1000000, "points": [{"name": "y", "type": "uint16"}]}]}}
            """
        guard case .success(let result) = Self.run(.sunspec, Array(text.utf8)) else {
            Issue.record("nothing was imported")
            return
        }
        #expect(!result.isComplete)
        #expect(result.remarks.contains { $0.message.contains("1000000 times") })
    }

    /// Every fixture, cut short at many places and with bytes changed. `HEADGATE_LONG_TESTS=1` does so a hundred times as often.
    @Test(arguments: ImportCase.all)
    func mutatedFilesNeverCrashAnImport(fixture: ImportCase) throws {
        let isLong = ProcessInfo.processInfo.environment["HEADGATE_LONG_TESTS"] == "1"
        let seed: UInt64 = 20_261
        var random = SeededGenerator(state: seed)
        let files = try fixture.files().main
        let options = try fixture.options()
        let alphabet = Array("{}[]:,\"'#&*!|>%@`-0123456789eE.\n\t \\=~?\u{FC}".utf8)
        for round in 0..<(isLong ? 3000 : 30) {
            var changed = files
            let index = Int.random(in: 0..<changed.count, using: &random)
            var bytes = changed[index].bytes
            if round.isMultiple(of: 3) { bytes = Array(bytes.prefix(Int.random(in: 0..<bytes.count, using: &random))) }
            for _ in 0..<Int.random(in: 0...6, using: &random) where !bytes.isEmpty {
                let place = Int.random(in: 0..<bytes.count, using: &random)
                switch Int.random(in: 0..<3, using: &random) {
                case 0: bytes[place] = alphabet.randomElement(using: &random) ?? 0x20
                case 1: bytes.remove(at: place)
                default: bytes.insert(alphabet.randomElement(using: &random) ?? 0x20, at: place)
                }
            }
            changed[index].bytes = bytes
            do throws(ImportError) {
                let result = try Importing.run(fixture.format, files: changed, options: options)
                ImportedDocuments.check(result, "seed \(seed), round \(round) of \(fixture)")
            } catch {
                #expect(!error.description.isEmpty, "seed \(seed), round \(round) of \(fixture)")
            }
        }
    }
}
