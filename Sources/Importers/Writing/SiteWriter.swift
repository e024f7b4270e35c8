import Model

/// `connections` and `devices`, to be put into a site file.
struct SiteWriter {
    let draft: Draft
    let source: String
    let options: ImportOptions

    var text: String {
        var lines = [
            YAMLText.comment("\(source)."),
            "# Not a site file of its own: take these sections over into yours, whose 'profiles' names the folder of the",
            "# imported profiles, and which has a gateway, a publisher and no connection to the same endpoint yet.",
            "connections:",
        ]
        let used = draft.connections.indices.filter { index in draft.devices.contains { $0.connection == index } }
        for index in used {
            lines.append(
                YAMLText.flow(members(draft.connections[index]), after: "  \(draft.connections[index].name): "))
        }
        lines.append("devices:")
        for device in draft.devices {
            lines.append(
                YAMLText.flow(
                    [
                        ("profile", draft.profiles[device.profile].id),
                        ("connection", draft.connections[device.connection].name), ("unit", String(device.unit)),
                        ("owner", YAMLText.scalar(options.owner ?? "unassigned")),
                    ], after: "  \(device.name): "))
        }
        return lines.joined(separator: "\n") + "\n"
    }

    private func members(_ connection: DraftConnection) -> [(String, String)] {
        var members: [(String, String)]
        switch connection.channel {
        case .tcp(let host, let port): members = [("tcp", YAMLText.scalar(endpoint(host, port)))]
        case .rtuOverTCP(let host, let port): members = [("rtu_over_tcp", YAMLText.scalar(endpoint(host, port)))]
        case .serial(let path, let baud, let format):
            members = [("serial", YAMLText.scalar(path)), ("baud", String(baud)), ("format", YAMLText.scalar(format))]
        }
        if let timeout = connection.timeout {
            members.append(("timeout", min(max(timeout, .milliseconds(10)), .seconds(60)).text))
        }
        if let pause = connection.pause, pause > .zero {
            members.append(("pause", min(pause, .seconds(10)).text))
        }
        return members
    }

    private func endpoint(_ host: String, _ port: Int) -> String {
        host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)"
    }
}
