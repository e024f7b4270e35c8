import ArgumentParser
import Foundation
import Gateway
import Model
import Profiles

struct ScanCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "scan",
        abstract: "Find the units on a connection, baud rate and parity of a serial line, and name their profiles.",
        discussion: """
            CONNECTION is a name of the site file, or tcp:HOST[:PORT], rtu_over_tcp:HOST[:PORT] or serial:PATH.
            It only reads. On a serial line it first asks likely units at all settings; when none answers, all units at \
            all settings, which takes long: narrow it by --baud, --format and --units. Two stop bits are found as one.
            Exit code 1 when no unit answered, or a running gateway polls the connection.
            """)

    @OptionGroup var site: SiteOption

    @Argument(help: "Where to look.")
    var connection: String

    @Option(help: "Unit addresses, such as 1-32 or 1,2,17.")
    var units: String?

    @Option(help: "Baud rate to try; may be given several times.")
    var baud: [Int] = []

    @Option(help: "Character format to try, such as 8E1; may be given several times.")
    var format: [String] = []

    @Option(help: "How long a unit may take to answer, in ms.")
    var timeout = 100

    @Flag(help: "Print one JSON document.")
    var json = false

    func validate() throws {
        guard baud.allSatisfy({ (300...1_000_000).contains($0) }) else {
            throw ValidationError("--baud is a number from 300 to 1000000")
        }
        guard format.allSatisfy({ SerialFormat(name: $0) != nil }) else {
            throw ValidationError("--format is something like 8E1 or 8N1")
        }
        guard (1...60_000).contains(timeout) else { throw ValidationError("--timeout is 1 to 60000 ms") }
        if let units, Self.parse(units) == nil {
            throw ValidationError("--units is something like 1-32 or 1,2,17, each from 0 to 255")
        }
    }

    func run() async throws {
        var target = try ToolTarget(connection, site: site)
        target.connection.timeout = .milliseconds(timeout)
        let library = ProfileLibrary(folders: [ShippedFiles.profiles])
        let profiles = library.files.compactMap { library.load($0.id).value }
        let plan = ScanPlan(
            target.connection, units: try unitsToAsk(target.connection), bauds: baud.isEmpty ? nil : baud,
            formats: format.isEmpty ? nil : format.compactMap(SerialFormat.init(name:)),
            known: profiles.compactMap(\.factorySerial))
        let isTerminal = isatty(STDERR_FILENO) == 1
        let report = try await BusScan(target.connection, plan: plan, profiles: profiles).run { progress in
            Self.show(progress, isTerminal: isTerminal)
        }
        if isTerminal { Console.talk("") }
        if let failure = report.failure { Console.talk("headgate: \(failure)") }
        Console.data(json ? report.json : Array(report.text.utf8))
        if report.units.isEmpty || report.failure != nil { throw ExitCode(1) }
    }

    /// Unit 0 is everybody on a serial line and never asked there.
    private func unitsToAsk(_ connection: Connection) throws -> [UInt8] {
        let asked = units.flatMap(Self.parse) ?? Array(1...247)
        if case .tcp = connection.channel { return asked }
        let allowed = asked.filter { (1...247).contains($0) }
        if allowed.isEmpty { throw ValidationError("units on a serial line are 1 to 247") }
        return allowed
    }

    /// `1-3,7`; nil for anything else.
    static func parse(_ text: String) -> [UInt8]? {
        var units: Set<UInt8> = []
        for part in text.split(separator: ",", omittingEmptySubsequences: false) {
            let ends = part.split(separator: "-", omittingEmptySubsequences: false).map { UInt8($0) }
            guard let first = ends.first ?? nil, let last = ends.last ?? nil, ends.count <= 2, first <= last else {
                return nil
            }
            units.formUnion(first...last)
        }
        return units.sorted()
    }

    /// On a terminal one line that is written over; in a log a line at each change of settings would be noise.
    private static func show(_ progress: BusScan.Progress, isTerminal: Bool) {
        guard isTerminal else { return }
        let settings = progress.line.map { "\($0.baud) \($0.format.name), " } ?? ""
        let text =
            "\r\u{1B}[K\(settings)unit \(progress.unit), \(progress.found) found, "
            + "request \(progress.requests) of at most \(progress.requestLimit)"
        FileHandle.standardError.write(Data(text.utf8))
    }
}

/// A connection that a tool may use now.
struct ToolTarget {
    var connection: Connection

    /// - Throws: exit code 1, with the reason on stderr, when there is none or a running gateway has it.
    init(_ text: String, site option: SiteOption) throws {
        let spelledOut = ToolConnection.spelledOut(text)
        var folder: String?
        if let spelledOut {
            connection = spelledOut
            // Without a site file no gateway of this machine can be asked; a serial port is locked all the same.
            if FileManager.default.fileExists(atPath: option.config) {
                folder = option.loaded().value?.gateway.stateFolder
            }
        } else {
            let site = try option.site()
            guard let named = site.connections.first(where: { $0.name == text }) else {
                let names = site.connections.map(\.name).joined(separator: ", ")
                Console.talk("headgate: no connection '\(text)'; there are: \(names), and tcp:, rtu_over_tcp:, serial:")
                throw ExitCode(1)
            }
            connection = named
            folder = site.gateway.stateFolder
        }
        if let folder, let obstacle = ToolConnection.obstacle(connection, stateFolder: folder) {
            Console.talk("headgate: \(obstacle)")
            throw ExitCode(1)
        }
    }
}
