import Model
import Testing

@testable import Engine

/// Writes without an answer that the device gets later: a converter between Ethernet and a serial line had them in its queue.
@Suite struct LateWriteTests {
    typealias Plant = DeskTests.Plant

    private func readBack(_ plant: inout Plant, _ number: UInt64 = 1) throws {
        let tag = WriteTag(command: ControlFixture.id(number))
        let isAsked = plant.effects.contains { if case .readBack(let write) = $0 { write.tag == tag } else { false } }
        guard isAsked, let value = plant.value["a"] else { return }
        plant.effects.removeAll { if case .readBack = $0 { true } else { false } }
        try plant.handle(.readBack(tag, .value(value)))
    }

    private func leaves(_ plant: Plant) -> [String] {
        var texts: [String] = []
        for case .commit(_, let leaves) in plant.effects { texts += leaves.map { String(decoding: $0, as: UTF8.self) } }
        return texts
    }

    private func silent() throws -> Plant {
        var plant = try Plant()
        try plant.ask(1, lease: 60)
        try plant.answer { _ in .indeterminate("no answer in time") }
        return plant
    }

    @Test func oneLookThatFindsTheOldValueProvesNothing() throws {
        var plant = try silent()
        for _ in 0..<5 {
            try plant.pass(1)
            try readBack(&plant)
        }
        #expect(plant.states(1).last == .indeterminate)
        plant.value["a"] = .double(7.5)
        try plant.pass(2)
        try readBack(&plant)
        #expect(plant.states(1).last == .verified)
        try plant.pass(60)
        try plant.answer()
        #expect(plant.value["a"] == .int(7))
    }

    @Test func aDeviceThatGoesOnShowingTheOldValueHasNotTakenTheWrite() throws {
        var plant = try silent()
        for _ in 0..<12 {
            try plant.pass(1)
            try readBack(&plant)
        }
        #expect(plant.states(1).last == .failed)
        #expect(plant.code(1) == .verifyMismatch)
        #expect(plant.takeWrite() == nil)
    }

    @Test(arguments: [false, true])
    func whatArrivesAfterItWasGivenUpIsTakenBackAndNobodysOverride(isHeld: Bool) throws {
        var plant = try silent()
        for _ in 0..<12 {
            try plant.pass(1)
            try readBack(&plant)
        }
        #expect(plant.states(1).last == .failed)
        if isHeld {
            try plant.ask(2, ControlFixture.room, value: 8)
            try plant.answer()
        }
        plant.value["a"] = .double(7.5)
        try plant.pass(1)
        try plant.answer()
        #expect(plant.value["a"] == (isHeld ? .double(8) : .int(7)))
        #expect(!isHeld || plant.states(2).last == .verified)
        #expect(leaves(plant).contains { $0.contains("late_write") })
    }

    @Test func aSecondArrivalIsAPersonAtTheDevice() throws {
        var plant = try silent()
        try plant.ask(2, ControlFixture.room, value: 8)
        try plant.answer()
        #expect(plant.states(1).last == .overridden)
        for state in [CommandState.verified, .overridden] {
            plant.value["a"] = .double(7.5)
            try plant.pass(1)
            try plant.answer()
            #expect(plant.states(2).last == state)
        }
    }

    @Test func whatArrivesAfterTheReturnOfALeaseThatEndedInDoubtIsTakenBack() throws {
        var plant = try Plant()
        try plant.ask(1, lease: 5)
        try plant.answer { _ in .indeterminate("no answer in time") }
        for _ in 0..<6 {
            try plant.pass(1)
            try readBack(&plant)
        }
        try plant.answer()
        #expect(plant.states(1).last == .reverted)
        plant.value["a"] = .double(7.5)
        try plant.pass(1)
        try plant.answer()
        #expect(plant.value["a"] == .int(7))
        #expect(leaves(plant).contains { $0.contains("late_write") })
    }

    @Test func aValueThatStaysIsNoLateWriteOfAnEarlierCommand() throws {
        var plant = try Plant()
        try plant.ask(1, point: "c", lease: 60)
        try plant.answer { _ in .indeterminate("no answer in time") }
        try plant.ask(2, ControlFixture.room, point: "c", value: 8)
        try plant.answer()
        try plant.ask(3, ControlFixture.room, point: "c")
        try plant.answer()
        try plant.ask(4, ControlFixture.room, point: "c", action: .release)
        try plant.pass(2)
        try plant.answer()
        #expect(plant.value["c"] == .double(7.5))
        #expect(!leaves(plant).contains { $0.contains("late_write") })
    }

    @Test func whatArrivesWhereAValueStaysLeavesThatValue() throws {
        var plant = try Plant()
        try plant.ask(1, point: "c", lease: 60)
        try plant.answer { _ in .indeterminate("no answer in time") }
        try plant.ask(2, ControlFixture.room, point: "c", value: 8)
        try plant.answer()
        try plant.ask(3, ControlFixture.room, point: "c", action: .release)
        plant.value["c"] = .double(7.5)
        try plant.pass(1)
        try plant.answer()
        #expect(plant.value["c"] == .double(8))
    }

    @Test func aReadingFromBeforeTheReturnIsNobodysOverride() throws {
        var plant = try silent()
        try plant.ask(2, ControlFixture.room, value: 8)
        try plant.answer()
        plant.value["a"] = .double(7.5)
        try plant.pass(1)
        plant.now = Moment(utc: plant.now.utc + .seconds(1), uptime: plant.now.uptime + .seconds(1))
        let sample = ControlFixture.sample("a", .double(7.5), at: plant.now)
        plant.now = Moment(utc: plant.now.utc + .seconds(1), uptime: plant.now.uptime + .seconds(1))
        try plant.answer()
        #expect(plant.value["a"] == .double(8))
        try plant.handle(.readings([sample]))
        #expect(plant.states(2).last == .verified)
    }
}
