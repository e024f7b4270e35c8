import Foundation
import Testing

@testable import Profiles

@Suite struct StablePathTests {
    @Test(arguments: ["/dev/ttyUSB0", "/dev/ttyUSB12", "/dev/ttyACM3"])
    func numbersOfAdaptersAreToldFromNames(path: String) {
        #expect(StablePath.isNumbered(path))
    }

    @Test(arguments: ["/dev/ttyS0", "/dev/ttyAMA0", "/dev/serial/by-id/usb-FTDI-port0", "/dev/ttyUSB", "/dev/ttyUSBx"])
    func namesThatStayAreLeftAlone(path: String) {
        #expect(!StablePath.isNumbered(path))
    }

    @Test func theNameOfAnAdapterIsFoundThroughItsLink() throws {
        let files = FileManager.default
        let folder = files.temporaryDirectory.appendingPathComponent("hg-\(UUID().uuidString.prefix(8))")
        let names = folder.appendingPathComponent("by-id")
        try files.createDirectory(at: names, withIntermediateDirectories: true)
        defer { try? files.removeItem(at: folder) }
        for device in ["ttyUSB0", "ttyUSB1"] { _ = files.createFile(atPath: folder.path + "/" + device, contents: nil) }
        try files.createSymbolicLink(atPath: names.path + "/usb-FTDI-port0", withDestinationPath: "../ttyUSB1")
        let stable = StablePath(folder: names.path)
        #expect(stable.of(folder.path + "/ttyUSB1") == names.path + "/usb-FTDI-port0")
        #expect(stable.of(folder.path + "/ttyUSB0") == nil)
        #expect(StablePath(folder: "/nonexistent").of("/dev/ttyUSB0") == nil)
    }
}
