/// Character format of a serial line; the bus specification's default is 8E1.
package struct SerialFormat: Hashable, Sendable {
    package enum Parity: String, Sendable, CaseIterable {
        case none = "N"
        case even = "E"
        case odd = "O"
    }

    package var dataBits: Int
    package var parity: Parity
    package var stopBits: Int

    package init(dataBits: Int, parity: Parity, stopBits: Int) {
        self.dataBits = dataBits
        self.parity = parity
        self.stopBits = stopBits
    }

    package static let standard = SerialFormat(dataBits: 8, parity: .even, stopBits: 1)

    /// Reads `8E1`, `8N2`, `7O1`; nil for anything else.
    package init?(name: String) {
        let letters = Array(name.uppercased())
        guard letters.count == 3, let data = letters[0].wholeNumberValue, data == 7 || data == 8,
            let parity = Parity(rawValue: String(letters[1])), let stop = letters[2].wholeNumberValue,
            stop == 1 || stop == 2
        else { return nil }
        self.init(dataBits: data, parity: parity, stopBits: stop)
    }

    package var name: String {
        "\(dataBits)\(parity.rawValue)\(stopBits)"
    }

    /// Bits of one character on the wire, start bit included.
    package var bitsPerCharacter: Int {
        1 + dataBits + (parity == .none ? 0 : 1) + stopBits
    }
}

/// How the kernel drives an RS-485 transceiver by the RTS signal (site key `rs485`).
package struct RS485Mode: Hashable, Sendable {
    /// Level of RTS while sending, and otherwise.
    package var rtsOnSend = true
    package var rtsAfterSend = false
    /// Time between switching RTS and the first bit, and between the last bit and switching back; whole milliseconds.
    package var delayBeforeSend = Duration.zero
    package var delayAfterSend = Duration.zero
    /// Whether what is sent is also received.
    package var receivesOwn = false
    /// Whether the port's own terminating resistor is switched on.
    package var isTerminated = false

    package init() {}
}

/// A serial line and its settings.
package struct SerialLine: Hashable, Sendable {
    /// Device file, best a stable one under /dev/serial/by-id.
    package var path: String
    package var baud: Int
    package var format: SerialFormat
    /// How the kernel switches the direction of an RS-485 transceiver, nil where it has none to switch.
    package var rs485: RS485Mode?

    package init(path: String, baud: Int, format: SerialFormat = .standard, rs485: RS485Mode? = nil) {
        self.path = path
        self.baud = baud
        self.format = format
        self.rs485 = rs485
    }

    /// What a file, a request or an argument may say.
    package static let baudRange = 300...4_000_000
    package static let bauds = [1200, 2400, 4800, 9600, 19_200, 38_400, 57_600, 115_200]

    /// Time that `byteCount` characters take on the wire.
    package func duration(byteCount: Int) -> Duration {
        .nanoseconds(Int64(byteCount) * Int64(format.bitsPerCharacter) * 1_000_000_000 / Int64(baud))
    }

    /// Silence that ends a frame: 3.5 characters, 1.75 ms above 19,200 baud (Modbus over Serial Line V1.02, 2.5.1.1).
    package var frameSilence: Duration {
        baud > 19_200 ? .microseconds(1750) : duration(byteCount: 7) / 2
    }
}

/// Host name or address and TCP port.
package struct Endpoint: Hashable, Sendable, CustomStringConvertible {
    package var host: String
    package var port: Int

    package init(host: String, port: Int) {
        self.host = host
        self.port = port
    }

    package var description: String {
        host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)"
    }
}

/// One physical channel that exactly one owner talks on (site key `connections`).
package struct Connection: Hashable, Sendable {
    package enum Channel: Hashable, Sendable {
        case tcp(Endpoint)
        case rtuOverTCP(Endpoint)
        case serial(SerialLine)
    }

    package var name: String
    package var channel: Channel
    /// How long a reply may take.
    package var timeout: Duration
    /// The least that this is narrowed to for a unit that always answers much faster; the same as `timeout`: never.
    package var minTimeout: Duration
    /// How long establishing a TCP connection may take.
    package var connectTimeout: Duration
    /// How long nothing is sent after the channel was opened: some converters are deaf for seconds then.
    package var connectDelay: Duration
    /// Rest between two requests on this channel.
    package var pause: Duration
    /// Requests under way at once, 1 to 16; always 1 where no transaction id exists.
    package var inFlight: Int

    package init(
        name: String, channel: Channel, timeout: Duration = .seconds(1), minTimeout: Duration? = nil,
        connectTimeout: Duration = .seconds(3), connectDelay: Duration = .zero, pause: Duration = .zero,
        inFlight: Int = 1
    ) {
        self.name = name
        self.channel = channel
        self.timeout = timeout
        self.minTimeout = minTimeout ?? min(timeout, Self.defaultMinTimeout)
        self.connectTimeout = connectTimeout
        self.connectDelay = connectDelay
        self.pause = pause
        self.inFlight = inFlight
    }

    package static let defaultMinTimeout = Duration.milliseconds(100)

    /// Between which the time-out of a read may be; a `timeout` that was set below the other bound counts.
    ///
    /// Several units behind one TCP endpoint are behind a gateway: while that waits for a dead one nobody else is answered,
    /// so what was seen of a unit does not say how long its next reply may take.
    package func timeoutBounds(unitCount: Int) -> ClosedRange<Duration> {
        hasTransactions && unitCount > 1 ? timeout...timeout : min(minTimeout, timeout)...timeout
    }

    /// Whether a reply says to which request it belongs; else only silence keeps a late one from being taken for another.
    package var hasTransactions: Bool {
        if case .tcp = channel { return true }
        return false
    }

    /// What two connections must not share, in words.
    package var endpoint: String {
        switch channel {
        case .tcp(let endpoint), .rtuOverTCP(let endpoint): endpoint.description
        case .serial(let line): line.path
        }
    }
}
