import CTerminal
import Foundation
import Model
import Testing

@testable import ModbusBus

/// What a port's answers mean, decided from values: the ioctls themselves need drivers that a pseudo-terminal has not.
@Suite struct PortDecisionTests {
    static func settings(_ change: (inout termios) -> Void) -> PortSettings {
        var settings = termios()
        cfmakeraw(&settings)
        settings.c_cflag |= tcflag_t(CS8)
        cfsetspeed(&settings, speed_t(B9600))
        change(&settings)
        return PortSettings(settings)
    }

    static func line(_ baud: Int, _ format: String) throws -> SerialLine {
        SerialLine(path: "/dev/ttyS1", baud: baud, format: try #require(SerialFormat(name: format)))
    }

    @Test func aPortThatIsSetAsAskedHasNoDifferences() throws {
        let set = Self.settings {
            $0.c_cflag |= tcflag_t(PARENB | PARODD | CSTOPB)
            cfsetspeed(&$0, speed_t(B115200))
        }
        #expect(set.differences(from: try Self.line(115_200, "8O2"), hasWire: true).isEmpty)
        #expect(set.differences(from: try Self.line(115_200, "8N2"), hasWire: false).isEmpty)
    }

    @Test func everythingThatADriverChangedIsNamed() throws {
        let found = Self.settings { _ in }.differences(from: try Self.line(19_200, "7E2"), hasWire: true)
        #expect(
            found == [
                "the driver cannot do 19200 baud (it is set to 9600)", "the driver set 1 stop bits instead of 2",
                "the driver set 8 data bits instead of 7", "the driver set no parity instead of even",
            ])
        let odd = Self.settings { _ in }.differences(from: try Self.line(12_345, "8N1"), hasWire: true)
        #expect(odd == ["the driver cannot do 12345 baud (it is set to 9600)"])
    }

    @Test func rs485SettingsThatADriverChangedAreNamed() {
        var mode = RS485Mode()
        mode.isTerminated = true
        mode.delayBeforeSend = .milliseconds(2)
        let asked = RS485Settings(mode)
        #expect(asked.flags == 1 | 2 | 32)
        #expect(RS485Settings(asked.kernel).differences(from: asked).isEmpty)
        var kernel = asked.kernel
        kernel.flags = 1 | 4 | 16
        kernel.delay_rts_before_send = 0
        kernel.delay_rts_after_send = 1
        let got = RS485Settings(kernel)
        #expect(got.isEnabled)
        #expect(
            got.differences(from: asked) == [
                "rts_on_send is off instead of on", "rts_after_send is on instead of off",
                "receive_own is on instead of off", "termination is off instead of on",
                "delay_before_send is 0 ms instead of 2 ms", "delay_after_send is 1 ms instead of 0 ms",
            ])
        kernel.flags = 0
        #expect(!RS485Settings(kernel).isEnabled)
    }

    @Test func theHolderOfALockIsFoundByDeviceAndInode() {
        let locks = """
            1: FLOCK  ADVISORY  WRITE 17405 fe:00:16247120 0 EOF
            2: POSIX  ADVISORY  READ  17472 00:1a:3 128 128
            2: -> FLOCK  ADVISORY  WRITE 999 00:1a:3 0 EOF
            3: FLOCK  ADVISORY  WRITE 17602 00:1a:3 0 EOF
            4: FLOCK  ADVISORY  WRITE 17603 00:1a:33 0 EOF
            """
        #expect(PortHolder.processes(locking: 3, major: 0, minor: 26, in: locks) == [17472, 17602])
        #expect(PortHolder.processes(locking: 16_247_120, major: 0xFE, minor: 0, in: locks) == [17405])
        #expect(PortHolder.processes(locking: 3, major: 1, minor: 26, in: "junk\n\n1: FLOCK").isEmpty)
    }

    @Test(
        arguments: [
            (
                PortProblem.missing(others: ["/dev/serial/by-id/usb-FTDI-port0", "/dev/ttyUSB3"]),
                "no such device; is the adapter plugged in? there are: /dev/serial/by-id/usb-FTDI-port0, /dev/ttyUSB3"
            ),
            (.missing(others: []), "no serial port is there"),
            (.notAllowed(user: "headgate", group: "dialout"), "sudo usermod -aG dialout headgate"),
            (.notForServices, "sudo systemctl edit headgate"),
            (.busy(holders: [PortHolder(process: 812, program: "mbpoll")]), "in use by mbpoll (process 812)"),
            (.busy(holders: []), "in use by another program"), (.notSerial, "is no serial port"),
            (.noRS485, "rs485: off"), (.rs485Refused, "left the mode off"),
            (.failed(code: EIO), "was the adapter unplugged?"), (.failed(code: ENODEV), "was the adapter unplugged?"),
        ] as [(PortProblem, String)])
    func everyProblemSaysWhatToDo(problem: PortProblem, words: String) {
        let message = problem.message("/dev/ttyUSB0")
        #expect(message.contains("/dev/ttyUSB0"))
        #expect(message.contains(words), "\(message)")
    }

    @Test func damageInMostAnswersPointsAtTheSettingsOnce() {
        var quality = LineQuality()
        quality.opened(nil)
        var told: [String] = []
        for _ in 0..<40 { if let text = quality.damaged(nil) { told.append(text) } }
        #expect(told == ["CRC errors in 8 of 8 answers: wrong baud rate or parity?"])
        for _ in 0..<32 { quality.answered() }
        for _ in 0..<32 { if let text = quality.damaged(nil) { told.append(text) } }
        #expect(told.count == 2, "a line that was well again is told of again")
    }

    @Test func damageInSomeAnswersIsNoise() {
        var quality = LineQuality()
        quality.opened(nil)
        for number in 0..<200 {
            if number % 3 == 0 { #expect(quality.damaged(nil) == nil) } else { quality.answered() }
        }
    }

    @Test(
        arguments: [
            (ReceiverErrors(framing: 12, parity: 3, overrun: 0, breaks: 0), "10 framing errors: wrong baud rate"),
            (ReceiverErrors(framing: 2, parity: 9, overrun: 0, breaks: 0), "9 parity errors: wrong parity?"),
            (ReceiverErrors(framing: 2, parity: 0, overrun: 0, breaks: 0), "noise, wiring, or two masters?"),
        ])
    func theCountersOfTheReceiverTellBaudRateFromParityAndNoise(errors: ReceiverErrors, words: String) {
        var quality = LineQuality()
        quality.opened(ReceiverErrors(framing: 2, parity: 0, overrun: 0, breaks: 0))
        let told = (0..<8).compactMap { _ in quality.damaged(errors) }
        #expect(told.count == 1)
        #expect(told.first?.contains(words) == true, "\(told)")
    }

    @Test func aSlowLatencyTimerIsTold() {
        #expect(LatencyTimer.note(before: nil, after: nil, file: "f") == nil)
        #expect(LatencyTimer.note(before: 16, after: 1, file: "f")?.level == .debug)
        let note = LatencyTimer.note(before: 16, after: 16, file: "/sys/x/latency_timer")
        #expect(note?.level == .notice)
        #expect(note?.text.contains("sudo tee /sys/x/latency_timer") == true)
    }
}
