import GatewayTesting
import Model
import Synchronization

@testable import Engine

/// Registers that a scripted unit reads and writes, and how it misbehaves.
final class WritableDevice: Sendable {
    enum Behaviour: Sendable {
        case honest
        /// Takes no more than this.
        case clamps(UInt16)
        /// Acknowledges and ignores.
        case deaf
        case refuses(UInt8)
        /// Does it, and its answer is lost.
        case mute
        /// Does not do it, and does not answer.
        case dead
        /// Refuses the n-th write (from 0) with code 4, takes the others.
        case refusesWrite(Int)
        /// Loses the n-th write (from 0), takes the others.
        case losesWrite(Int)
    }

    private let registers: Mutex<[UInt16: UInt16]>
    private let count = Mutex(0)
    private let behaviour: Mutex<Behaviour>

    init(_ registers: [UInt16: UInt16] = [:], behaviour: Behaviour = .honest) {
        self.registers = Mutex(registers)
        self.behaviour = Mutex(behaviour)
    }

    subscript(address: UInt16) -> UInt16 { registers.withLock { $0[address] ?? 0 } }

    func install(on bus: ScriptedBus, unit: UInt8) {
        bus.script(unit) { span in .success((0..<span.registerCount).map { self[span.start + UInt16($0)] }) }
        bus.scriptWrites(unit) { self.take($0) }
    }

    private func take(_ write: RegisterWrite) -> WriteFailure? {
        let number = count.withLock { count in
            defer { count += 1 }
            return count
        }
        switch behaviour.withLock({ $0 }) {
        case .honest: store(write)
        case .clamps(let most): store(write, most: most)
        case .deaf: break
        case .refuses(let code): return .refused(code)
        case .mute:
            store(write)
            return .indeterminate("no answer in time")
        case .dead: return .indeterminate("no answer in time")
        case .refusesWrite(number): return .refused(4)
        case .losesWrite(number): return .indeterminate("no answer in time")
        case .refusesWrite, .losesWrite: store(write)
        }
        return nil
    }

    private func store(_ write: RegisterWrite, most: UInt16 = .max) {
        registers.withLock { registers in
            switch write {
            case .coil(let address, let isOn): registers[address] = isOn ? 1 : 0
            case .register(let address, let word): registers[address] = min(word, most)
            case .coils(let address, let bits):
                for (index, bit) in bits.enumerated() { registers[address + UInt16(index)] = bit ? 1 : 0 }
            case .registers(let address, let words):
                for (index, word) in words.enumerated() { registers[address + UInt16(index)] = min(word, most) }
            case .mask(let address, let and, let or):
                registers[address] = (registers[address] ?? 0) & and | or & ~and
            }
        }
    }
}
