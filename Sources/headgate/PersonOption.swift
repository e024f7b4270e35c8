import ArgumentParser
import Foundation

/// In whose name something is done.
struct PersonOption: ParsableArguments {
    @Option(
        name: .customLong("as"),
        help: ArgumentHelp(
            "In whose name: an issuer of the site file with category local or operator. Default: your user name, also under sudo.",
            valueName: "name"))
    var name: String?

    func validate() throws {
        guard let name, name.isEmpty || name.contains(where: \.isWhitespace) else { return }
        throw ValidationError("--as '\(name)' is no name of an issuer: it is empty or has spaces")
    }

    func resolved(environment: [String: String] = ProcessInfo.processInfo.environment) -> String {
        if let name { return name }
        if let user = environment["SUDO_USER"], !user.isEmpty { return user }
        guard let entry = getpwuid(getuid()), let login = entry.pointee.pw_name else { return "\(getuid())" }
        return String(cString: login)
    }
}
