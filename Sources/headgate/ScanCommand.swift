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
            Where a running gateway polls the connection it is asked between two polls, at the settings of the polls; \
            others need --pause-polling. Ctrl-C ends the scan.
            Exit code 1 when no unit answered, or the scan could not be finished.
            """)

    @OptionGroup var site: SiteOption
    @OptionGroup var trace: TraceOption

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

    @Flag(
        help: "Let the polls of the line rest meanwhile, to try other baud rates and formats under a running gateway.")
    var pausePolling = false

    @Flag(help: "Print one JSON document.")
    var json = false

    func validate() throws {
        guard baud.allSatisfy({ SerialLine.baudRange.contains($0) }) else {
            throw ValidationError("--baud is a number from 300 to 4000000")
        }
        guard format.allSatisfy({ SerialFormat(name: $0) != nil }) else {
            throw ValidationError("--format is something like 8E1 or 8N1")
        }
        guard ScanOrder.timeoutMilliseconds.contains(Int64(timeout)) else {
            throw ValidationError("--timeout is 1 to 60000 ms")
        }
        if let units, Self.parse(units) == nil {
            throw ValidationError("--units is something like 1-32 or 1,2,17, each from 0 to 255")
        }
    }

    func run() async throws {
        var target = try ToolTarget(connection, site: site)
        target.connection.timeout = .milliseconds(timeout)
        if try scanThroughGateway(target) { return }
        let profiles = ScanProfiles.all(in: target.profileFolders)
        let plan = ScanPlan(
            target.connection, units: try unitsToAsk(target.connection), bauds: baud.isEmpty ? nil : baud,
            formats: format.isEmpty ? nil : format.compactMap(SerialFormat.init(name:)),
            known: profiles.compactMap(\.factorySerial))
        let isTerminal = isatty(STDERR_FILENO) == 1
        let connection = target.connection
        let report = try await trace.shown { show in
            let scan = BusScan(connection, plan: plan, profiles: profiles, telling: show?.telling)
            return try await scan.run { Self.show($0, isTerminal: isTerminal) }
        }
        if isTerminal { Console.talk("") }
        if let failure = report.failure { Console.talk("headgate: \(failure)") }
        Console.data(json ? report.json : Array(report.text.utf8))
        if report.units.isEmpty || report.failure != nil { throw ExitCode(1) }
    }

    /// - Returns: false when no running gateway polls it.
    private func scanThroughGateway(_ target: ToolTarget) throws -> Bool {
        let formats = format.compactMap(SerialFormat.init(name:))
        let order = ScanOrder(
            units: try unitsToAsk(target.connection), bauds: baud.isEmpty ? nil : baud,
            formats: formats.isEmpty ? nil : formats, timeout: .milliseconds(timeout), pausesPolling: pausePolling)
        let request = ToolRequest(.scan(order), connection: target.connection.endpoint, isTraced: trace.isOn)
        let isTerminal = isatty(STDERR_FILENO) == 1
        guard let result = try target.askGateway(request, progress: { Self.show($0, isTerminal: isTerminal) }) else {
            return false
        }
        if isTerminal { Console.talk("") }
        if let failure = result["failure"]?.text { Console.talk("headgate: \(failure)") }
        Console.data(Array((result[json ? "json" : "text"]?.text ?? "").utf8))
        if result["failure"] != nil || result["found"] == .integer(0) { throw ExitCode(1) }
        return true
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
            let ends = part.split(separator: "-", omittingEmptySubsequences: false).map {
                UInt8($0, in: 0...UInt8.max)
            }
            guard let first = ends.first ?? nil, let last = ends.last ?? nil, ends.count <= 2, first <= last else {
                return nil
            }
            units.formUnion(first...last)
        }
        return units.sorted()
    }

    /// `40 s` or `12 min`, rounded up.
    private static func remaining(_ duration: Duration) -> String {
        let seconds = Int(clamping: duration.inSeconds.rounded(.up))
        return seconds < 120 ? "\(seconds) s" : "\((seconds + 59) / 60) min"
    }

    /// On a terminal one line that is written over; in a log a line at each change of settings would be noise.
    private static func show(_ progress: BusScan.Progress, isTerminal: Bool) {
        guard isTerminal else { return }
        let settings = progress.line.map { "\($0.baud) \($0.format.name), " } ?? ""
        let rest = progress.remaining.map { ", at most \(remaining($0)) more" } ?? ""
        let text =
            "\r\u{1B}[K\(settings)unit \(progress.unit), \(progress.found) found, "
            + "question \(progress.asked) of at most \(progress.limit)\(rest)"
        FileHandle.standardError.write(Data(text.utf8))
    }
}

/// A connection that a tool is to use, and the gateway that may have it.
struct ToolTarget {
    var connection: Connection
    /// Of the site file; empty without one.
    var profileFolders: [String] = []
    private var folder: String?

    /// - Throws: exit code 1, with the reason on stderr, when there is none.
    init(_ text: String, site option: SiteOption) throws {
        let spelledOut = ToolConnection.spelledOut(text)
        if let spelledOut {
            connection = spelledOut
            // Without a site file no gateway of this machine can be asked; a serial port is locked all the same.
            if FileManager.default.fileExists(atPath: option.config) {
                let site = option.loaded().value
                folder = site?.gateway.stateFolder
                profileFolders = site?.profileFolders ?? []
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
            profileFolders = site.profileFolders
        }
    }

    /// - Returns: nil when no running gateway polls the connection: it is free.
    /// - Throws: exit code 1, with the reason on stderr, where the gateway says no.
    func askGateway(
        _ request: ToolRequest, progress: (BusScan.Progress) -> Void = { _ in }
    ) throws -> Model.JSONValue? {
        guard let folder else { return nil }
        let outcome = ToolClient(stateFolder: folder).run(request) { message in
            switch message {
            case .trace(let line): Console.talk(line)
            case .progress(let step): progress(step)
            }
        }
        switch outcome {
        case .result(let value): return value
        case .elsewhere: return nil
        case .failure(let reason):
            Console.talk("headgate: \(reason)")
            throw ExitCode(1)
        }
    }
}
