import Foundation
import Model
import Profiles
import Testing

/// What devices of a maker say who they are, and whose profile has their registers.
@Suite struct ShippedIdentityTests {
    private static func identity(_ id: String) throws -> [IdentityCheck] {
        let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appendingPathComponent("../../Devices")
        return try #require(ProfileLibrary(folders: [root.standardizedFileURL.path]).load(id).value, "\(id)").identity
    }

    @Test(arguments: [
        ("schneider/atv320", "ATV320U02M2B", true), ("schneider/atv320", "ATV312HU11N4", true),
        ("schneider/atv320", "ATV71HU15M3", true), ("schneider/atv320", "ATV630U07N4", true),
        ("schneider/atv320", "ATV930U07N4", true), ("schneider/atv320", "ATV212H075M3X", false),
        ("schneider/iem3155", "A9MEM3155", true), ("schneider/iem3155", "iEM3350", true),
        ("schneider/iem3155", "METSEEM3122", false),
    ])
    func theProductCodeTellsWhoseRegistersItHas(id: String, product: String, isOne: Bool) throws {
        let said: [UInt8: String] = [0: "Schneider Electric", 1: product]
        let verdicts = try Self.identity(id).map { $0.verdict(objects: said) }
        #expect(verdicts.allSatisfy { $0 == .holds } == isOne, "\(verdicts)")
    }

    @Test(arguments: [
        ("schneider/pm5110", 49, "PM5330", true), ("schneider/pm5110", 49, "PM5560", true),
        ("schneider/pm5110", 49, "PM8240", false), ("siemens/pac3200", 64002, "7KM2112-0BA00-3AA0", true),
        ("siemens/pac3200", 64002, "7KM4212-0BA00-3AA0", true), ("siemens/pac3200", 64002, "7KM2200-2EA30-1EA1", false),
        ("siemens/pac2200", 64002, "7KM2200-2EA30-1EA1", true), ("apc/smart-ups", 532, "Smart-UPS X 1500", true),
        ("apc/smart-ups", 532, "Back-UPS RS 1500", false),
    ])
    func theTextTellsWhoseRegistersItHas(id: String, address: UInt16, text: String, isOne: Bool) throws {
        #expect(try Self.verdict(id, address, .string(text)) == isOne)
    }

    /// Countis and Diris, not ATyS.
    @Test(arguments: [(Int64(100), true), (400, true), (300, false)])
    func theFamilyTellsWhoseRegistersItHas(family: Int64, isOne: Bool) throws {
        #expect(try Self.verdict("socomec/countis-e34", 50004, .int(family)) == isOne)
    }

    /// Whether the check at `address` holds where its registers hold `value` and everything around them 0.
    private static func verdict(_ id: String, _ address: UInt16, _ value: PointValue) throws -> Bool {
        for check in try identity(id) {
            guard case .register(let point, _, _) = check, point.protocolAddress == address, let span = check.span
            else { continue }
            let own = try point.encoding.encode(value)
            let before = [UInt16](repeating: 0, count: Int(address - span.start))
            let behind = [UInt16](repeating: 0, count: span.registerCount - before.count - own.count)
            return check.verdict(words: before + own + behind) == .holds
        }
        Issue.record("\(id) looks at nothing at \(address)")
        return false
    }
}
