import ArgumentParser
import Foundation
import Gateway
import Model
import Profiles

/// The option that names the site file, and loading it.
struct SiteOption: ParsableArguments {
    @Option(name: [.short, .customLong("config")], help: "The site file.")
    var config = "/etc/headgate/headgate.yaml"

    func loaded() -> Loaded<Site> {
        SiteFile.load(path: config, shippedProfiles: ShippedFiles.profiles)
    }

    /// The site, or every problem on stderr and exit code 1.
    func site() throws -> Site {
        let loaded = loaded()
        Console.complain(loaded.problems)
        guard loaded.isClean, let site = loaded.value else { throw ExitCode(1) }
        return site
    }

    /// The site, where only the gateway that runs matters: what somebody is changing in the file just now must not keep anybody
    /// from asking it, or from stopping it. Errors elsewhere in the file are told, and `site` is nil then.
    func runningGateway() throws -> (identity: GatewayIdentity, site: Site?) {
        let loaded = loaded()
        if let site = loaded.value { return (site.gateway, site) }
        Console.complain(loaded.problems)
        guard let identity = SiteFile.gateway(path: config) else {
            Console.talk("headgate: the site file does not tell the state folder; name it with --state")
            throw ExitCode(1)
        }
        Console.talk("headgate: the site file has errors; going on with \(identity.stateFolder)")
        return (identity, nil)
    }
}

/// What the program says to people: talk on stderr, data on stdout.
enum Console {
    static func complain(_ problems: [Problem]) {
        for problem in problems { talk(problem.description) }
    }

    static func talk(_ text: String) {
        FileHandle.standardError.write(Data((text + "\n").utf8))
    }

    /// Asks at the terminal; only a yes is one.
    static func isConfirmed(_ question: String) -> Bool {
        FileHandle.standardError.write(Data(question.utf8))
        let answer = readLine().map { $0.trimmingCharacters(in: .whitespaces).lowercased() }
        return answer == "y" || answer == "yes"
    }

    /// Ends the program where the output takes no more: half of an answer must not look like one.
    static func data(_ bytes: [UInt8]) {
        let output = LineOutput()
        do {
            try output.line(bytes)
            try output.flush()
        } catch {
            talk("headgate: \(error)")
            exit(1)
        }
    }
}
