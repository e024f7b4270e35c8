import ArgumentParser
import Foundation
import Gateway
import Model

struct ProbeCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "probe",
        abstract: "Dump registers of a unit and show every decoding of them, to settle types and byte orders.",
        discussion: """
            Example: headgate probe tcp:10.20.0.5 1 holding 342 4 --expect 230.5
            CONNECTION is a name of the site file, or tcp:HOST[:PORT], rtu_over_tcp:HOST[:PORT] or serial:PATH. Addresses \
            count from 0. With --expect, give what the device's own display shows now.
            It goes through the running gateway where that polls the connection.
            Exit code 1 when the unit does not answer, or nothing fits what is expected.
            """)

    @OptionGroup var site: SiteOption
    @OptionGroup var trace: TraceOption

    @Argument(help: "Where the unit is.")
    var connection: String

    @Argument(help: "Unit address.")
    var unit: UInt8

    @Argument(help: "coil, discrete, input or holding.")
    var table: RegisterTable

    @Argument(help: "First address, from 0.")
    var start: UInt16

    @Argument(help: "How many registers or bits.")
    var count: Int

    @Option(help: "The value that should be there.")
    var expect: String?

    @Option(help: "Baud rate, for serial:PATH.")
    var baud = 9600

    @Option(help: "Character format, for serial:PATH.")
    var format = "8N1"

    @Flag(help: "Print one JSON document.")
    var json = false

    func validate() throws {
        guard (1...table.protocolLimit).contains(count), Int(start) + count <= 65_536 else {
            throw ValidationError("COUNT is 1 to \(table.protocolLimit), up to address 65535")
        }
        guard SerialLine.baudRange.contains(baud) else {
            throw ValidationError("--baud is a number from 300 to 4000000")
        }
        if let expect, DecimalNumber(expect) == nil { throw ValidationError("--expect is a number such as 230.5") }
        guard SerialFormat(name: format) != nil else { throw ValidationError("--format is something like 8E1 or 8N1") }
    }

    func run() async throws {
        var target = try ToolTarget(connection, site: site)
        if case .serial(var line) = target.connection.channel, ToolConnection.spelledOut(connection) != nil {
            line.baud = baud
            line.format = SerialFormat(name: format) ?? line.format
            target.connection.channel = .serial(line)
        }
        let span = RegisterSpan(table: table, start: start, registerCount: count)
        let expected = expect.flatMap { DecimalNumber($0) }
        let words = try await read(span, target)
        let report = ProbeReport(ProbeTable(span: span, words: words, expected: expected), expected: expected)
        Console.data(json ? report.json : Array(report.text.utf8))
        if expected != nil, report.answers.isEmpty { throw ExitCode(1) }
    }

    private func read(_ span: RegisterSpan, _ target: ToolTarget) async throws -> [UInt16] {
        let request = ToolRequest(
            .probe(span, unit: unit), connection: target.connection.endpoint, isTraced: trace.isOn)
        if let result = try target.askGateway(request) {
            return result.elements.compactMap { $0.integer(in: 0...UInt16.max) }
        }
        do {
            return try await trace.shown { show in
                try await BusProbe(target.connection, telling: show?.telling).read(span, unit: unit)
            }
        } catch {
            Console.talk("headgate: \(error)")
            throw ExitCode(1)
        }
    }
}

extension RegisterTable: ExpressibleByArgument {}
