package import Model

/// The connection that a tool at the shell works on: one of the site file, or one that is spelled out.
package enum ToolConnection {
    /// `tcp:HOST[:PORT]`, `rtu_over_tcp:HOST[:PORT]` or `serial:PATH`; nil for anything else, which is a name then.
    package static func spelledOut(_ text: String) -> Connection? {
        let parts = text.split(separator: ":", maxSplits: 1).map(String.init)
        guard parts.count == 2, !parts[1].isEmpty else { return nil }
        switch parts[0] {
        case "serial": return Connection(name: text, channel: .serial(SerialLine(path: parts[1], baud: 9600)))
        case "tcp": return endpoint(parts[1]).map { Connection(name: text, channel: .tcp($0)) }
        case "rtu_over_tcp": return endpoint(parts[1]).map { Connection(name: text, channel: .rtuOverTCP($0)) }
        default: return nil
        }
    }

    private static func endpoint(_ text: String) -> Endpoint? {
        guard let colon = text.lastIndex(of: ":") else { return Endpoint(host: text, port: 502) }
        guard let port = Int(text[text.index(after: colon)...], in: 1...65_535) else { return nil }
        let host = text[..<colon].drop { $0 == "[" }
        return Endpoint(host: String(host.last == "]" ? host.dropLast() : host), port: port)
    }
}
