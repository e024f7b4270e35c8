import ArgumentParser
import Gateway
import Model

struct ReadCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "read",
        abstract: "Read devices or single points now.",
        discussion: """
            Goes through the running gateway where there is one, else directly to the device.
            Exit code 1 when a device is unknown or a value is bad.
            """)

    @OptionGroup var site: SiteOption
    @OptionGroup var trace: TraceOption

    @Argument(help: ArgumentHelp("What to read.", valueName: "device[/point]"))
    var targets: [String]

    @Flag(help: "Print one JSON document a device.")
    var json = false

    func run() async throws {
        let site = try site.site()
        var isGood = true
        for target in targets {
            guard let device = site.devices.map(\.id).filter({ target == $0 || target.hasPrefix($0 + "/") }).max()
            else {
                Console.talk(
                    "headgate: no device '\(target)'; there are: \(site.devices.map(\.id).joined(separator: ", "))")
                throw ExitCode(1)
            }
            let outcome = try await trace.shown { show in
                await AdHocRead(site: site, telling: show?.telling) { Console.talk($0) }.run(device)
            }
            switch outcome {
            case .failure(let reason):
                Console.talk("headgate: \(reason)")
                isGood = false
            case .document(let text): isGood = try show(text, target: target, device: device) && isGood
            }
        }
        if !isGood { throw ExitCode(1) }
    }

    private func show(_ text: String, target: String, device: String) throws -> Bool {
        let reply = try JSONValue(parsing: Array(text.utf8))
        if let error = reply["error"]?.text {
            Console.talk("headgate: \(error)")
            return false
        }
        let rows = (reply["readings"]?.elements ?? []).filter {
            target == device || $0["point"]?.text == target
        }
        guard !rows.isEmpty else {
            Console.talk("headgate: \(device) has no point '\(target.dropFirst(device.count + 1))'")
            return false
        }
        if json, target == device {
            Console.data(Array(text.utf8))
        } else {
            for row in rows { Console.data(Array(ReadLine(row).text.utf8)) }
        }
        let isGood = rows.allSatisfy { $0["quality"]?.text != "bad" }
        if !isGood, let fault = reply["last_fault"]?.text { Console.talk("headgate: \(device): \(fault)") }
        return isGood
    }
}
