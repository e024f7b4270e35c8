import Model
import Testing

@testable import Engine

/// Under whose id a refusal is told.
@Suite struct AttributionTests {
    typealias Plant = DeskTests.Plant

    /// Ids of the refusals since the last call.
    private func refused(_ plant: inout Plant) -> [CommandID?] {
        defer { plant.effects = [] }
        return plant.effects.compactMap { effect in
            guard case .publish(.event(let event)) = effect, event.state == .rejected else { return nil }
            return .some(event.id)
        }
    }

    @Test func nobodyElseMakesAnIssuerBelieveThatItsCommandWasRefused() throws {
        var plant = try Plant()
        try plant.ask(1, lease: 600)
        try plant.answer()
        _ = refused(&plant)
        let request = ControlFixture.request(ControlFixture.command(1, at: plant.now))
        var retained = request
        retained.isRetained = true
        var unsigned = request
        unsigned.sender.isProven = false
        var rival = request
        rival.sender.name = "rival"
        for copy in [retained, unsigned, rival] {
            try plant.handle(.request(copy))
            #expect(refused(&plant) == [nil])
        }
        var own = request
        own.digest = [9]
        try plant.handle(.request(own))
        #expect(refused(&plant) == [ControlFixture.id(1)])
        try plant.handle(.junk(IncomingJunk(id: ControlFixture.id(1), point: "chiller1/a", code: .badFormat)))
        #expect(refused(&plant) == [nil])
        try plant.handle(.junk(IncomingJunk(id: ControlFixture.id(2), point: "chiller1/a", code: .badFormat)))
        #expect(refused(&plant) == [ControlFixture.id(2)])
    }
}
