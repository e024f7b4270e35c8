import Engine
import Foundation
import ModbusBus
import Model
import Simulator
import Synchronization
import Testing

/// Serial ports as far as pseudo-terminals are like them.
@Suite(.serialized, .timeLimit(.minutes(1))) struct SerialPortTests {
    /// Notes of a bus.
    final class Notes: Sendable {
        private let kept = Mutex<[BusNote]>([])
        var all: [BusNote] { kept.withLock { $0 } }
        var telling: BusTelling { BusTelling { note in self.kept.withLock { $0.append(note) } } }
    }

    static func bus(_ line: SerialLine, _ telling: BusTelling = BusTelling()) -> SerialBus {
        let connection = Connection(name: "l", channel: .serial(line), timeout: .milliseconds(100))
        return SerialBus(connection, line: line, clock: TestClock(), telling: telling)
    }

    static func line(_ path: String, _ change: (inout SerialLine) -> Void = { _ in }) -> SerialLine {
        var line = SerialLine(path: path, baud: 115_200, format: SerialFormat(dataBits: 8, parity: .none, stopBits: 1))
        change(&line)
        return line
    }

    static func read(_ bus: SerialBus) async -> Result<[UInt16], BusError> {
        do throws(BusError) {
            let span = RegisterSpan(table: .holding, start: 7, registerCount: 1)
            return .success(try await bus.read(span, unit: 1, timeout: .milliseconds(100)))
        } catch {
            return .failure(error)
        }
    }

    /// Why there is no link, nil where there is one.
    static func trouble(_ bus: SerialBus) async -> String? {
        if case .failure(.linkDown(let reason)) = await read(bus) { return reason }
        return nil
    }

    /// A simulated unit on a pseudo-terminal behind a link, which can be pulled out and plugged in again.
    final class Adapter {
        let link: String
        private var terminal: PseudoTerminal?
        private var field: SerialSimulator?

        init() {
            link =
                FileManager.default.temporaryDirectory.appendingPathComponent("hg-\(UUID().uuidString.prefix(8))").path
        }

        func plugIn() throws {
            let terminal = try PseudoTerminal()
            let point = Point(name: "p", table: .holding, protocolAddress: 7, encoding: Encoding(type: .uint16))
            let unit = SimulatedUnit(points: [point])
            field = try SerialSimulator(
                line: SerialPortTests.line(terminal.slavePath), descriptor: terminal.master, units: [1: unit])
            self.terminal = terminal
            symlink(terminal.slavePath, link)
        }

        func pullOut() {
            unlink(link)
            // The end of the master hangs the slave up, as the kernel does when an adapter goes.
            field?.stop()
            terminal?.close()
        }
    }

    @Test func anAdapterThatIsPulledOutAndPluggedInAgainIsReadAgain() async throws {
        let adapter = Adapter()
        try adapter.plugIn()
        let notes = Notes()
        let bus = Self.bus(Self.line(adapter.link), notes.telling)
        #expect((try? await Self.read(bus).get()) != nil)
        for _ in 0..<2 {
            adapter.pullOut()
            #expect(!Self.staleDescriptors.isEmpty, "the bus has it open")
            var reasons: Set<String> = []
            for _ in 0..<20 {
                if let reason = await Self.trouble(bus) { reasons.insert(reason) }
                try await Task.sleep(for: .milliseconds(50))
            }
            #expect(reasons.contains { $0.contains("was the adapter unplugged?") }, "\(reasons)")
            #expect(reasons.contains { $0.contains("no such device") }, "\(reasons)")
            #expect(Self.staleDescriptors.isEmpty, "descriptors of an adapter that is gone are closed")
            try adapter.plugIn()
            var isBack = false
            for _ in 0..<80 where !isBack {
                isBack = (try? await Self.read(bus).get()) != nil
                if !isBack { try await Task.sleep(for: .milliseconds(100)) }
            }
            #expect(isBack)
        }
        await bus.close()
        adapter.pullOut()
        #expect(notes.all.count { $0.text.contains("is open again") } == 2)
        #expect(notes.all.count { $0.level == .warning } <= 6, "a failure is told once: \(notes.all)")
    }

    /// Of this process, on terminals that are no more.
    static var staleDescriptors: [String] {
        let names = (try? FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd")) ?? []
        let targets = names.compactMap {
            try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/fd/\($0)")
        }
        return targets.filter { $0.contains("/pts/") && $0.contains("(deleted)") }
    }

    @Test func aPortThatIsHeldNamesItsHolderAndKeepsItsSettings() async throws {
        let terminal = try PseudoTerminal()
        defer { terminal.close() }
        let first = Self.bus(Self.line(terminal.slavePath))
        _ = await Self.read(first)
        let second = Self.bus(Self.line(terminal.slavePath) { $0.baud = 1200 })
        let reason = try #require(await Self.trouble(second))
        #expect(reason.contains("in use by") && reason.contains("process \(getpid())"), "\(reason)")
        var settings = termios()
        tcgetattr(terminal.master, &settings)
        #expect(cfgetospeed(&settings) == speed_t(B115200), "the holder's settings are left alone")
        await first.close()
        await second.close()
        #expect(await Self.trouble(second) == nil, "free again once the holder has closed it")
        await second.close()
        close(terminal.master)
    }

    @Test func aSimulatedLineWithParityIsOpenedAlsoAfterItsLastUserWasKilled() async throws {
        let terminal = try PseudoTerminal()
        defer { terminal.close() }
        let line = Self.line(terminal.slavePath) { $0.format = SerialFormat(name: "8E1") ?? $0.format }
        let first = Self.bus(line)
        #expect(await Self.trouble(first) == nil)
        var left = termios()
        tcgetattr(terminal.master, &left)
        await first.close()
        tcsetattr(terminal.master, TCSANOW, &left)
        let second = Self.bus(line)
        #expect(await Self.trouble(second) == nil)
        await second.close()
    }

    @Test func whatIsNoSerialPortOrCannotBeSetIsTold() async throws {
        let terminal = try PseudoTerminal()
        defer { terminal.close() }
        defer { close(terminal.master) }
        let notSerial = await Self.trouble(Self.bus(Self.line("/dev/null")))
        #expect(notSerial?.contains("no serial port") == true)
        let file = #filePath
        #expect(await Self.trouble(Self.bus(Self.line(file)))?.contains("no serial port") == true)
        let odd = await Self.trouble(Self.bus(Self.line(terminal.slavePath) { $0.baud = 12_345 }))
        #expect(odd?.contains("cannot do 12345 baud") == true, "\(odd ?? "opened")")
        let rs485 = await Self.trouble(Self.bus(Self.line(terminal.slavePath) { $0.rs485 = RS485Mode() }))
        #expect(rs485?.contains("no RS-485 mode") == true, "\(rs485 ?? "opened")")
        #expect(await Self.trouble(Self.bus(Self.line(terminal.slavePath))) == nil, "a failed opening holds nothing")
    }

    @Test func aLineOfWhichNearlyAllIsDamagedIsSuspectedOfWrongSettings() async throws {
        let terminal = try PseudoTerminal()
        defer { terminal.close() }
        let stop = Mutex(false)
        let answering = Thread {
            var request = [UInt8](repeating: 0, count: 256)
            while !stop.withLock({ $0 }) {
                var polled = pollfd(fd: terminal.master, events: Int16(POLLIN), revents: 0)
                guard poll(&polled, 1, 20) > 0, Foundation.read(terminal.master, &request, 256) > 0 else { continue }
                _ = Foundation.write(terminal.master, [1, 3, 2, 0x12, 0x34, 0xFF, 0xFF] as [UInt8], 7)
            }
        }
        answering.start()
        let notes = Notes()
        let tap = TraceTap()
        let listener = tap.listen()
        var telling = notes.telling
        telling.trace = tap
        let bus = Self.bus(Self.line(terminal.slavePath), telling)
        // On a busy machine the damaged answer may come late and be dropped: then it is asked again.
        for _ in 0..<40 where notes.all.isEmpty { #expect((try? await Self.read(bus).get()) == nil) }
        stop.withLock { $0 = true }
        #expect(notes.all == [notes.all.first])
        #expect(notes.all.first?.level == .warning)
        #expect(notes.all.first?.text == "CRC errors in 8 of 8 answers: wrong baud rate or parity?")
        let lines = await listener.next()?.events.map(\.text) ?? []
        #expect(lines.count { $0.contains(" ! CRC wrong, 7 bytes | 01 03 02 12 34 ff ff") } >= 8, "\(lines)")
        await bus.close()
        close(terminal.master)
    }
}
