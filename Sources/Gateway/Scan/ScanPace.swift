/// How far a scan is, and how long the rest takes at the most.
struct ScanPace: Hashable, Sendable {
    /// Questions at the most.
    private(set) var limit: Int
    var asked = 0
    private let start: Duration

    init(limit: Int, start: Duration) {
        self.limit = limit
        self.start = start
    }

    /// The settings of the line are known: so many questions are left.
    mutating func settle(questions: Int) {
        limit = asked + questions
    }

    /// As slow as it was on average: silence takes longer than an answer, and a polled line lets a guest wait. Nil while there
    /// is too little to go by.
    func remaining(at now: Duration) -> Duration? {
        guard asked >= 5 else { return nil }
        return (now - start) / asked * (limit - asked)
    }
}
