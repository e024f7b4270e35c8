import Model

/// Reads the `connections` of a site file.
struct ConnectionParser {
    let problems: ProblemList

    private static let keys = [
        "tcp", "serial", "rtu_over_tcp", "timeout", "min_timeout", "connect_timeout", "connect_delay", "pause",
        "in_flight", "baud", "format", "rs485",
    ]

    func parse(_ field: Field) -> [Connection] {
        var connections: [Connection] = []
        var places: [String: (name: String, line: Int)] = [:]
        for (name, keyField, value) in field.members(allowed: "name: {tcp: …}") ?? [] {
            guard keyField.identifier(name, hyphens: true) != nil, let connection = connection(name, value) else {
                continue
            }
            if let other = places[connection.endpoint] {
                keyField.fail(
                    "\(name) has the same endpoint as '\(other.name)' in line \(other.line); one connection serves all units behind it"
                )
            }
            places[connection.endpoint] = (name, keyField.place.line)
            connections.append(connection)
        }
        return connections
    }

    private func connection(_ name: String, _ field: Field) -> Connection? {
        guard let fields = field.fields(Self.keys) else { return nil }
        let channels = ["tcp", "serial", "rtu_over_tcp"].compactMap { fields[$0] }
        guard channels.count == 1 else {
            field.fail("\(name) must have exactly one of tcp, serial, rtu_over_tcp")
            return nil
        }
        guard let channel = channel(fields, field) else { return nil }
        let timeouts = Duration.milliseconds(10)...Duration.seconds(60)
        let inFlight = fields["in_flight"]?.integer(in: 1...16) ?? 1
        if case .tcp = channel {
        } else if inFlight > 1 {
            fields["in_flight"]?.fail("in_flight above 1 is for tcp only: RTU has no transaction ids")
        }
        let timeout = fields["timeout"]?.duration(in: timeouts) ?? .seconds(1)
        let minTimeout = fields["min_timeout"]?.duration(in: timeouts)
        if let minTimeout, minTimeout > timeout {
            fields["min_timeout"]?.fail("min_timeout must not be above timeout, \(timeout.text)")
        }
        return Connection(
            name: name, channel: channel, timeout: timeout, minTimeout: minTimeout,
            connectTimeout: fields["connect_timeout"]?.duration(in: timeouts) ?? .seconds(3),
            connectDelay: fields["connect_delay"]?.duration(in: .zero ... .seconds(60)) ?? .zero,
            pause: fields["pause"]?.duration(in: .zero ... .seconds(10)) ?? .zero, inFlight: inFlight)
    }

    private func channel(_ fields: Fields, _ field: Field) -> Connection.Channel? {
        if let tcp = fields["tcp"] { return noSerialKeys(fields) ? endpoint(tcp, port: 502).map { .tcp($0) } : nil }
        if let rtu = fields["rtu_over_tcp"] {
            return noSerialKeys(fields) ? endpoint(rtu, port: nil).map { .rtuOverTCP($0) } : nil
        }
        guard let serial = fields["serial"], let path = serial.text("a device such as /dev/serial/by-id/…") else {
            return nil
        }
        guard path.hasPrefix("/") else {
            serial.fail("serial must be the path of a device such as /dev/serial/by-id/…, not '\(path)'")
            return nil
        }
        warnIfNumbered(path, serial)
        guard let baud = fields["baud"] else {
            field.fail("a serial connection needs 'baud', such as 9600 or 19200")
            return nil
        }
        guard let rate = baud.integer(in: SerialLine.baudRange) else { return nil }
        guard SerialLine.bauds.contains(rate) else {
            baud.fail("baud cannot be \(rate); allowed: \(SerialLine.bauds.map(String.init).joined(separator: ", "))")
            return nil
        }
        guard let format = format(fields["format"]) else { return nil }
        return .serial(
            SerialLine(path: path, baud: rate, format: format, rs485: fields["rs485"].flatMap(rs485)))
    }

    private func format(_ field: Field?) -> SerialFormat? {
        guard let field else { return .standard }
        guard let text = field.text("8N1, 8E1 or the like"), let format = SerialFormat(name: text) else {
            field.fail(
                "format must be data bits (7, 8), parity (N, E, O) and stop bits (1, 2) such as 8E1, not \(field.written)"
            )
            return nil
        }
        guard format.dataBits == 8 else {
            field.fail("format \(format.name) cannot carry Modbus RTU, whose bytes have 8 bits; such as 8E1, 8N1, 8O1")
            return nil
        }
        return format
    }

    /// The kernel numbers adapters in the order in which it finds them.
    private func warnIfNumbered(_ path: String, _ serial: Field) {
        guard StablePath.isNumbered(path) else { return }
        let advice =
            StablePath(folder: StablePath.folder).of(path).map { "write \($0)" }
            ?? "write its path below \(StablePath.folder)"
        problems.warning(
            serial.place,
            "\(path) is whichever adapter was found in that place, another one after the next start or plug; \(advice)")
    }

    /// `true`, `false`, `off` or a mapping; nil where the kernel has nothing to switch.
    private func rs485(_ field: Field) -> RS485Mode? {
        guard field.isMapping else {
            guard let choice = field.choice(["true", "false", "off"]) else { return nil }
            return choice == "true" ? RS485Mode() : nil
        }
        let keys = [
            "rts_on_send", "rts_after_send", "delay_before_send", "delay_after_send", "receive_own", "termination",
        ]
        guard let fields = field.fields(keys) else { return nil }
        var mode = RS485Mode()
        let delays = Duration.zero ... .milliseconds(100)
        mode.rtsOnSend = fields["rts_on_send"]?.bool() ?? mode.rtsOnSend
        mode.rtsAfterSend = fields["rts_after_send"]?.bool() ?? !mode.rtsOnSend
        mode.delayBeforeSend = fields["delay_before_send"]?.duration(in: delays) ?? .zero
        mode.delayAfterSend = fields["delay_after_send"]?.duration(in: delays) ?? .zero
        mode.receivesOwn = fields["receive_own"]?.bool() ?? false
        mode.isTerminated = fields["termination"]?.bool() ?? false
        if mode.rtsOnSend == mode.rtsAfterSend {
            field.fail("rs485: rts_on_send and rts_after_send must differ, or the direction never changes")
        }
        return mode
    }

    private func noSerialKeys(_ fields: Fields) -> Bool {
        for key in ["baud", "format", "rs485"] {
            if let field = fields[key] {
                field.fail("\(key) is for serial connections only")
                return false
            }
        }
        return true
    }

    private func endpoint(_ field: Field, port: Int?) -> Endpoint? {
        guard let text = field.text("host:port"), let endpoint = Endpoint(text, defaultPort: port) else {
            field.fail(
                "\(field.name) must be host:port\(port.map { " (port \($0) when left out)" } ?? ""), not \(field.written)"
            )
            return nil
        }
        return endpoint
    }
}

extension Endpoint {
    /// Reads `host:port`, `[v6]:port`, and `host` where there is a default port.
    init?(_ text: String, defaultPort: Int?) {
        var host = text[...]
        var port = defaultPort
        let searchFrom = text.hasPrefix("[") ? text.firstIndex(of: "]") : text.startIndex
        guard let searchFrom else { return nil }
        if let colon = text[searchFrom...].lastIndex(of: ":") {
            guard let number = Field.integer(text[text.index(after: colon)...]), (1...65_535).contains(number) else {
                return nil
            }
            host = text[..<colon]
            port = number
        }
        if host.hasPrefix("["), host.hasSuffix("]") { host = host.dropFirst().dropLast() }
        let isHost =
            !host.isEmpty && host.allSatisfy { $0.isASCII && ($0.isLetter || $0.isNumber || "-._:%".contains($0)) }
        guard let port, isHost else { return nil }
        self.init(host: String(host), port: port)
    }
}
