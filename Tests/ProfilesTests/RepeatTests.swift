import Foundation
import Model
import Profiles
import Testing

/// The key `repeat`: blocks of points that a device has several times.
@Suite struct RepeatTests {
    static let feeders = """
        defaults: {table: holding, type: int16, every: 5s}
        points:
          exponent: {address: 9, kind: state}
        repeat:
          count: 3
          stride: 10
          name: "feeder{n}_"
          points:
            voltage: {address: 100, unit: V, scale_from: exponent}
            current: {address: 101, unit: A, scale_from: own_exponent, description: "Feeder {n}"}
            own_exponent: {address: 102, kind: state}
            limit: {reference: 40104, unit: A, kind: setpoint, sync: pair,
                    write: {mode: multiple, min: 0, max: 100, address: 300, readback: limit_echo,
                            unlock: [{address: 400, value: 7, moves: false}, {address: 500, value: 8, moves: true}]}}
            limit_echo: {address: 104, unit: A, sync: pair}
            closed: {table: coil, address: 0, write: {mode: single, readback: {table: discrete, address: 5}}}
        """

    @Test func everyCopyHasItsOwnNamesAndAddresses() throws {
        let (loaded, problems) = try ProfileText.load(Self.feeders)
        let profile = try #require(loaded, "\(problems)")
        #expect(profile.points.count == 1 + 3 * 6)
        let current = try #require(profile.point("feeder3_current"))
        #expect(current.span == RegisterSpan(table: .holding, start: 121, registerCount: 1))
        #expect(current.summary == "Feeder 3" && current.every == .seconds(5))
        #expect(current.scaleReference == .exponent(point: "feeder3_own_exponent"))
        #expect(profile.point("feeder3_voltage")?.scaleReference == .exponent(point: "exponent"))
        let limit = try #require(profile.point("feeder2_limit"))
        #expect(limit.protocolAddress == 113 && limit.syncGroup == "feeder2_pair")
        #expect(limit.write?.target == RegisterSpan(table: .holding, start: 310, registerCount: 1))
        #expect(limit.write?.readback == .point("feeder2_limit_echo"))
        #expect(limit.write?.unlock == [.register(400, 7), .register(510, 8)])
        let closed = try #require(profile.point("feeder2_closed"))
        #expect(closed.span == RegisterSpan(table: .coil, start: 10, registerCount: 1))
        #expect(closed.write?.readback == .place(table: .discrete, protocolAddress: 15))
    }

    @Test func goldenTestsNameCopiesOrListThemAll() throws {
        let text =
            Self.feeders + """

                tests:
                  - registers: {holding: {9: [0xFFFF], 100: [2301, 5, 0], 110: [2302, 5, 0xFFFE], 120: [2303, 4, 1]}}
                    expect: {"feeder{n}_voltage": [230.1, 230.2, 230.3], feeder2_current: 0.05, feeder3_current: 40}
                """
        let profile = try #require(try ProfileText.load(text).profile)
        #expect(profile.goldenFailures() == [])
        #expect(profile.untestedPoints.count == 1 + 3 * 6 - 5)
        let wrong = try #require(try ProfileText.load(text.replacing("230.2,", with: "230.9,")).profile)
        #expect(wrong.goldenFailures().map(\.message) == ["feeder2_voltage is 230.2, expected 230.9"])
        let short = try ProfileText.load(text.replacing("230.2,", with: ""))
        #expect(short.problems.joined().contains("2 values for 3 copies"))
    }

    @Test func withoutPointsOfItsOwnABlockRepeatsTheWholeProfile() throws {
        let profile = try #require(
            try ProfileText.load(
                """
                defaults: {table: input, type: uint16}
                points:
                  state: {address: 0}
                  count: {address: 1, scale_from: {factor: state}}
                repeat: {count: 6, stride: 10, name: "feeder{n}_", first: 0}
                """
            ).profile)
        #expect(profile.points.map(\.name).prefix(3) == ["feeder0_state", "feeder0_count", "feeder1_state"])
        #expect(profile.points.count == 12)
        #expect(profile.point("feeder5_count")?.protocolAddress == 51)
        #expect(profile.point("feeder5_count")?.scaleReference == .factor(point: "feeder5_state"))
    }

    @Test func anExtensionRepeatsItsBaseOrChangesOneOrAllCopies() throws {
        let texts = try ProfileText([
            "acme/module": "defaults: {table: input, type: uint16}\npoints: {level: {address: 3}}\n",
            "acme/rack": "extends: acme/module\nrepeat: {count: 4, stride: 100, name: \"slot{n}_\"}\n",
            "acme/rack-b": """
            extends: acme/rack
            points:
              slot2_level: {address: 7}
              "slot{n}_level": {unit: "%", range: [0, 100]}
            """,
        ])
        defer { texts.remove() }
        let rack = try #require(texts.load("acme/rack").value)
        #expect(rack.points.map(\.protocolAddress) == [3, 103, 203, 303])
        let other = try #require(texts.load("acme/rack-b").value, "\(texts.load("acme/rack-b").problems)")
        #expect(other.points.map(\.protocolAddress) == [3, 7, 203, 303])
        #expect(other.points.allSatisfy { $0.unit == "%" && $0.range != nil })
    }

    @Test(arguments: [
        ("{count: 0, stride: 1, name: \"f{n}_\"}", ["count must be a whole number from 1 to 1000"]),
        ("{count: 2, stride: 0, name: \"f{n}_\"}", ["stride must be a whole number from 1 to 65535"]),
        ("{count: 2, stride: 1, name: f}", ["name must contain {n}"]),
        ("{count: 2, stride: 1, name: \"F{n}\"}", ["name cannot be 'F1'; allowed: lower-case"]),
        ("{count: 2, stride: 1}", ["the key 'name' is missing"]),
        (
            "{count: 2, stride: 2, name: \"f{n}_\", last: 4}",
            ["unknown key 'last'; allowed in repeat: count, stride, name, first, points"]
        ),
        ("{count: 4, stride: 20000, name: \"f{n}_\"}", ["address 10000 is 70000 in f4_, beyond address 65535"]),
        ("{count: 3, stride: 1, name: \"f{n}_\"}", ["f2_wide (uint32 at holding 10001…10002) overlaps f1_wide"]),
        ("[{count: 2, stride: 2, name: \"f{n}_\", points: {}}]", ["repeat has no points"]),
        (
            "[{count: 1, stride: 2, name: \"f{n}_\", points: {a: {address: 1, scale_from: b}}}]",
            ["scale_from names no other point 'b'"]
        ),
        (
            "[{count: 2, stride: 2, name: \"f{n}_\", points: {a: {address: 1}}}, "
                + "{count: 1, stride: 2, first: 2, name: \"f{n}_\", points: {a: {address: 9}}}]",
            ["'f2_a' is already a point, in line 8"]
        ),
        (
            "[{count: 2, stride: 2, name: \"f{n}_\", points: {a: {address: 1, type: int17}}}]",
            ["type cannot be 'int17'"]
        ),
        (
            "[{count: 2, stride: 2, name: \"f{n}_\", points: {a: {address: 1, "
                + "write: {mode: multiple, unlock: [{address: 5, value: 1}]}}}}]",
            ["moves: true (each copy has that register) or moves: false"]
        ),
        (
            "{count: 700, stride: 4, name: \"f{n}_\", points: {a1: {address: 1}, a2: {address: 2}, a3: {address: 3},"
                + " a4: {address: 4}, b: {address: 1, type: int16}, c: {address: 2}, d: {address: 2}, e: {address: 2}}}",
            ["that makes 5601 points; allowed are 5000"]
        ),
    ])
    func aWrongBlockIsSaidOnceWithItsPlace(block: String, expected: [String]) throws {
        let (profile, problems) = try ProfileText.load(
            "defaults: {table: holding, type: uint32}\npoints: {wide: {address: 10000}}\nrepeat: \(block)\n")
        #expect(profile == nil)
        #expect(problems.count == expected.count, "\(problems)")
        for (problem, part) in zip(problems, expected) { #expect(problem.contains(part)) }
        #expect(problems.allSatisfy { $0.hasPrefix("m.yaml:") })
    }

    @Test func aSiteOverridesOneCopyOrAll() throws {
        let texts = try ProfileText(["acme/m": Self.feeders])
        defer { texts.remove() }
        let site = """
            gateway: {id: gw, owner: me, state: /tmp/hg}
            profiles: [.]
            connections: {bench: {tcp: "127.0.0.1:1502"}}
            publish: {broker: {mqtt: "mqtt://127.0.0.1:1883"}}
            devices:
              board:
                profile: acme/m
                connection: bench
                unit: 1
                owner: me
                points: {feeder2_voltage: {address: 7000}, "feeder{n}_current": {address: 105, deadband: 1}}
            """
        let path = texts.folder + "/site.yaml"
        try site.write(toFile: path, atomically: true, encoding: .utf8)
        let loaded = SiteFile.load(path: path, shippedProfiles: "/nonexistent")
        let points = try #require(loaded.value, "\(loaded.problems)").devices[0].points
        #expect(points.first { $0.name == "feeder2_voltage" }?.protocolAddress == 7000)
        #expect(points.first { $0.name == "feeder3_current" }?.protocolAddress == 125)
        #expect(points.count { $0.deadband == 1 } == 3)
    }
}
