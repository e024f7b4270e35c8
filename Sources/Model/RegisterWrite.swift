/// What one write request says (Modbus Application Protocol V1.1b3, sections 6.5, 6.6, 6.11, 6.12 and 6.16). Addresses are
/// zero-based protocol addresses.
package enum RegisterWrite: Hashable, Sendable {
    /// FC05.
    case coil(UInt16, isOn: Bool)
    /// FC06.
    case register(UInt16, UInt16)
    /// FC15.
    case coils(UInt16, [Bool])
    /// FC16.
    case registers(UInt16, [UInt16])
    /// FC22: register = (register AND `and`) OR (`or` AND NOT `and`), in one step inside the device.
    case mask(UInt16, and: UInt16, or: UInt16)

    package var function: UInt8 {
        switch self {
        case .coil: 5
        case .register: 6
        case .coils: 15
        case .registers: 16
        case .mask: 22
        }
    }

    /// The addresses that change.
    package var span: RegisterSpan {
        switch self {
        case .coil(let address, _): RegisterSpan(table: .coil, start: address, registerCount: 1)
        case .coils(let address, let bits): RegisterSpan(table: .coil, start: address, registerCount: bits.count)
        case .register(let address, _), .mask(let address, _, _):
            RegisterSpan(table: .holding, start: address, registerCount: 1)
        case .registers(let address, let words):
            RegisterSpan(table: .holding, start: address, registerCount: words.count)
        }
    }

    /// The most addresses that one request may write (same document, sections 6.11 and 6.12).
    package var protocolLimit: Int {
        switch self {
        case .coil, .register, .mask: 1
        case .coils: 1968
        case .registers: 123
        }
    }
}
