import Model
import Testing

@testable import Engine

@Suite struct ControlledPointsTests {
    private static func site() -> Site {
        let points = [
            Point(
                name: "sp", table: .holding, protocolAddress: 4, encoding: Encoding(type: .int16), kind: .setpoint,
                write: WriteRule(mode: .single)),
            Point(name: "temp", table: .input, protocolAddress: 0, encoding: Encoding(type: .float32)),
        ]
        let devices = ["hall/ahu1", "hall/ahu2"].map {
            Device(id: $0, profile: "p/q", revision: 1, connection: "c", unit: 1, owner: "o", points: points)
        }
        return Site(
            gateway: GatewayIdentity(id: "g", owner: "o", stateFolder: "/tmp/x"), connections: [], devices: devices,
            publishers: [],
            commands: CommandSettings(policies: [
                Policy(name: "one", points: ["hall/ahu1/*"], permissions: []),
                Policy(name: "two", points: ["hall/*/sp"], permissions: []),
            ]))
    }

    @Test func aPointIsFoundByDeviceAndNameWithTheFirstPolicyThatCoversIt() {
        let points = ControlSite(Self.site()).points
        #expect(points["hall/ahu1/sp"]?.policy?.name == "one")
        #expect(points["hall/ahu2/sp"]?.policy?.name == "two")
        #expect(points["hall/ahu2/sp"]?.id == "hall/ahu2/sp")
        #expect(points["hall/ahu1/temp"]?.point.table == .input)
        #expect(points["hall/ahu1/temp"]?.policy == nil)
        for unknown in ["hall/ahu1/x", "hall/ahu3/sp", "hall/ahu1", "sp", "/sp", "hall/ahu1/", ""] {
            #expect(points[unknown] == nil, "\(unknown)")
        }
        #expect(Set(points.covered.map(\.id)) == ["hall/ahu1/sp", "hall/ahu2/sp"])
        #expect(Set(points.ids) == ["hall/ahu1/sp", "hall/ahu1/temp", "hall/ahu2/sp", "hall/ahu2/temp"])
    }

    @Test func whatADeviceWithLevelsInItsNameSaysIsHandedOver() {
        let tap = ReadingTap()
        tap.watch(ControlSite(Self.site()).watchedPoints) { _ in }
        #expect(tap.wanted(of: "hall/ahu1")?.points == ["sp", "temp"])
        #expect(tap.wanted(of: "hall") == nil)
    }

    @Test func pointsOneByOneAreThoseOfTheSite() {
        let points = ControlSite(Self.site()).points
        #expect(ControlledPoints(points.ids.sorted().compactMap { points[$0] }) == points)
    }
}
