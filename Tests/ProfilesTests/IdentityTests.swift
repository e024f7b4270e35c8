import Model
import Profiles
import Testing

/// The key `identify` as the scan gets it.
@Suite struct IdentityTests {
    private static let points = "points: {a: {table: input, address: 0, type: uint16}}\n"

    @Test func everyFormIsRead() throws {
        let (loaded, problems) = try ProfileText.load(
            """
            identify:
              - {table: holding, address: 64514, type: uint16, equals: 0x0079}
              - {table: holding, address: 11, type: uint16, equals: [1648, 1649]}
              - {reference: 40050, type: string, count: 20, starts_with: [PM51, PM53]}
              - {table: holding, address: 0, type: uint16, equals: 0x5100, mask: 0xFF00}
              - {table: holding, address: 64001, type: uint16, equals: 42, within: {address: 64001, count: 27}}
              - {device_id: {vendor: Schneider, product: {starts_with: [iEM31, iEM33]}}}
              - {device_id: {product: [iEM3150, iEM3155]}}

            """ + Self.points)
        let identity = try #require(loaded, "\(problems)").identity
        #expect(
            identity.map(\.expected) == [
                "holding 64514 = 121", "holding 11 = 1648 or 1649", "holding 49…68 begins with 'PM51' or 'PM53'",
                "holding 0 & 0xff00 = 0x5100", "holding 64001 = 42", "device id 'Schneider iEM31… or iEM33…'",
                "device id 'iEM3150 or iEM3155'",
            ])
        #expect(identity[4].span == RegisterSpan(table: .holding, start: 64001, registerCount: 27))
    }

    @Test(arguments: [
        (
            "{table: holding, address: 1, type: uint16}",
            "the key 'equals' (or 'starts_with', or 'device_id') is missing"
        ),
        ("{table: holding, address: 1, type: uint16, equals: []}", "equals is an empty list"),
        (
            "{table: holding, address: 1, type: uint16, starts_with: A}",
            "starts_with is for type string, not for uint16"
        ),
        (
            "{table: holding, address: 1, type: uint16, equals: 0x51, mask: 0xFF00}",
            "'0x51' has bits outside of the mask"
        ),
        (
            "{table: holding, address: 1, type: int16, equals: 1, mask: 1}",
            "mask is for uint16 and uint32, not for int16"
        ),
        ("{table: holding, address: 1, type: string, count: 2, equals: A, starts_with: A}", "exclude each other"),
        (
            "{table: holding, address: 1, type: uint32, equals: 1, within: {address: 0, count: 2}}",
            "holding 1…2 does not lie within holding 0…1"
        ),
        ("{device_id: {}}", "device_id needs vendor, product or both"),
        ("{device_id: {vendor: A}, equals: 1}", "equals and device_id are two checks"),
        ("{device_id: {vendor: {begins: A}}}", "unknown key 'begins'"),
        ("{table: holding, address: 1, type: uint16, equal: 1}", "unknown key 'equal', did you mean 'equals'?"),
    ])
    func aWrongCheckIsSaidWithItsPlace(check: String, message: String) throws {
        let (profile, problems) = try ProfileText.load("identify: [\(check)]\n" + Self.points)
        #expect(profile == nil)
        #expect(problems.contains { $0.contains(message) && $0.hasPrefix("m.yaml:6:") }, "\(problems)")
    }
}
