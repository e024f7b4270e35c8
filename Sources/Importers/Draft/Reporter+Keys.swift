import Model

extension Reporter {
    /// Tells every member of `node` that is neither `taken` nor known to mean nothing here.
    func keys(_ node: SourceNode, taken: Set<String>, ignored presentation: Set<String> = []) {
        for (key, value) in node.members where !taken.contains(key) {
            if presentation.contains(key) {
                ignored(key, in: value, because: "means nothing to a gateway")
            } else {
                leftOut(value, "'\(key)' is not taken over")
            }
        }
    }

    /// The zero-based protocol address that `node` names, or nil with a remark.
    func address(_ node: SourceNode?, of title: String, in owner: SourceNode) -> Int? {
        if let address = node?.integer, (0...65_535).contains(address) { return address }
        leftOut(
            node ?? owner,
            "'\(title)': \(node?.written ?? "nothing") is no address from 0 to 65535; the point is left out")
        return nil
    }

    /// The address of a unit; what is missing or impossible becomes 1, with a remark.
    func unit(_ node: SourceNode?, isSerial: Bool, in owner: SourceNode) -> Int {
        let allowed = isSerial ? 1...247 : 0...255
        if let unit = node?.integer, allowed.contains(unit) { return unit }
        if let node {
            leftOut(
                node, "\(node.written) is no unit from \(allowed.lowerBound) to \(allowed.upperBound); unit 1 is taken")
        } else {
            assumed(owner, "no unit is named; unit 1 is taken")
        }
        return 1
    }

    /// A host for a connection; where the source leaves it to a person or to another file, one that does not exist.
    func host(_ node: SourceNode?, in owner: SourceNode) -> String {
        if let host = node?.words, Self.isHost(host) { return host }
        leftOut(node ?? owner, "no host can be read (\(node?.written ?? "nothing")); 192.0.2.1 stands in for it")
        return "192.0.2.1"
    }

    static func isHost(_ text: String) -> Bool {
        !text.isEmpty && text.utf8.count <= 253
            && text.allSatisfy { $0.isASCII && ($0.isLetter || $0.isNumber || "-._:".contains($0)) }
    }

    func port(_ node: SourceNode?, in owner: SourceNode) -> Int {
        if let port = node?.integer, (1...65_535).contains(port) { return port }
        if let node {
            leftOut(node, "\(node.written) is no port; 502 is taken")
        } else {
            assumed(owner, "no port is named; 502 is taken")
        }
        return 502
    }

    /// A serial line, or nil with a remark. Parity as `N`, `E`, `O` or a word that begins so.
    func serial(
        path: SourceNode?, baud: SourceNode?, bits: SourceNode?, parity: SourceNode?, stop: SourceNode?,
        in owner: SourceNode
    ) -> DraftConnection.Channel? {
        guard let device = path?.words, device.hasPrefix("/") else {
            leftOut(
                path ?? owner,
                "\(path?.written ?? "nothing") is no serial device of this system such as /dev/ttyUSB0; the connection is left out"
            )
            return nil
        }
        let rate = baud?.integer ?? 9600
        guard SerialLine.bauds.contains(rate) else {
            leftOut(baud ?? owner, "the baud rate \(rate) cannot be set; the connection is left out")
            return nil
        }
        let letter = parity?.words?.prefix(1).uppercased() ?? "N"
        let name = "\(bits?.integer ?? 8)\(letter)\(stop?.integer ?? 1)"
        guard SerialFormat(name: name) != nil else {
            leftOut(owner, "the character format \(name) cannot be set; the connection is left out")
            return nil
        }
        if baud == nil { assumed(owner, "no baud rate is named; 9600 is taken") }
        if bits == nil || parity == nil || stop == nil {
            assumed(owner, "the character format is not complete; \(name) is taken")
        }
        return .serial(path: device, baud: rate, format: name)
    }
}
