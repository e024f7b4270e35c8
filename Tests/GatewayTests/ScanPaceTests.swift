import Model
import Testing

@testable import Gateway

@Suite struct ScanPaceTests {
    @Test func theRestTakesAsLongAQuestionAsItDidSoFar() {
        var pace = ScanPace(limit: 247, start: .seconds(100))
        pace.asked = 4
        #expect(pace.remaining(at: .seconds(102)) == nil, "too little to go by")
        pace.asked = 47
        #expect(pace.remaining(at: .seconds(147)) == .seconds(200))
    }

    @Test func onceTheSettingsAreKnownTheRestIsOneRound() {
        var pace = ScanPace(limit: 24 * (5 + 247), start: .zero)
        pace.asked = 10
        pace.settle(questions: 247)
        #expect(pace.limit == 257)
        #expect(pace.remaining(at: .seconds(10)) == .seconds(247))
    }

    @Test func aPlanCountsWhatItAsksAtTheMost() {
        let tcp = Connection(name: "c", channel: .tcp(Endpoint(host: "h", port: 502)))
        #expect(ScanPlan(tcp, units: [1, 2, 3], bauds: nil, formats: nil).limit == 3)
        let line = Connection(name: "l", channel: .serial(SerialLine(path: "/dev/x", baud: 9600)))
        let both = ScanPlan(line, units: Array(1...20), bauds: [9600, 19_200], formats: [.standard])
        #expect(both.limit == 2 * (both.likelyUnits.count + 20))
    }
}
