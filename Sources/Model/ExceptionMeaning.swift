/// What a Modbus exception code means (Modbus Application Protocol V1.1b3, section 7).
package enum ExceptionMeaning {
    private static let names: [UInt8: String] = [
        1: "illegal function", 2: "illegal data address", 3: "illegal data value", 4: "server device failure",
        5: "acknowledge", 6: "server device busy", 8: "memory parity error", 10: "gateway path unavailable",
        11: "gateway target failed to respond",
    ]

    private static func words(_ code: UInt8) -> String { names[code] ?? "of the device's own" }

    /// `exception 02 illegal data address`
    package static func coded(_ code: UInt8) -> String {
        "exception \(code < 10 ? "0" : "")\(code) \(words(code))"
    }

    /// `exception 2 (illegal data address)`
    package static func noted(_ code: UInt8) -> String { "exception \(code) (\(words(code)))" }
}
