import Synchronization

/// A Modbus TCP device with one register, at 7, that reads well and treats writes (FC06) in every bad way, by chance.
final class UnreliableDevice: Sendable {
    private struct State {
        var register: UInt16 = 0
        var writes: [UInt16] = []
        var random: VerifiedWriteTests.Generator
    }

    private final class Memory: Sendable {
        let state: Mutex<State>

        init(seed: UInt64) {
            state = Mutex(State(random: VerifiedWriteTests.Generator(state: seed)))
        }

        func react(_ request: [UInt8]) -> HostilePeer.Reaction {
            if request[7] == 3 {
                let word = state.withLock { $0.register }
                return .send(Array(request[..<4]) + [0, 5, 1, 3, 2, UInt8(word >> 8), UInt8(word & 0xFF)])
            }
            let word = UInt16(request[10]) << 8 | UInt16(request[11])
            let (acts, chance) = state.withLock { state in
                let acts = Bool.random(using: &state.random)
                let chance = Int.random(in: 0..<12, using: &state.random)
                state.writes.append(word)
                // An exception other than "not finished" is honest here; so is an echo.
                if chance != 5, acts || chance < 4 || chance == 6 { state.register = word }
                return (acts, chance)
            }
            let exception = { (code: UInt8) in HostilePeer.Reaction.send(Array(request[..<4]) + [0, 3, 1, 0x86, code]) }
            switch chance {
            case 0..<4: return .send(request)
            case 4: return .silence
            case 5: return exception(acts ? 2 : 6)
            case 6: return exception(5)
            case 7: return .close
            case 8: return .late(request, seconds: 0.09)
            case 9: return .send(Array(request[..<11]) + [request[11] ^ 1])
            case 10: return .dribble(acts ? request : Array(request[..<9]))
            default: return .send(Array(request[..<2]) + [9, 9, 9, 9, 9])
            }
        }
    }

    private let memory: Memory
    private let peer: HostilePeer

    init(seed: UInt64) throws {
        let memory = Memory(seed: seed)
        self.memory = memory
        peer = try HostilePeer { _, request in memory.react(request) }
    }

    var port: Int { peer.port }
    var register: UInt16 { memory.state.withLock { $0.register } }
    /// Every value that arrived, in order.
    var writes: [UInt16] { memory.state.withLock { $0.writes } }

    func stop() {
        peer.stop()
    }
}
