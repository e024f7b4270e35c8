import Model
import Payloads
import Profiles

/// What became of the golden tests of one profile, for programs.
struct GoldenTestResult {
    let id: String
    let loaded: Loaded<DeviceProfile>

    /// Whether it loads, its tests hold, and they cover every point.
    var holds: Bool {
        guard loaded.isClean, let profile = loaded.value else { return false }
        return profile.goldenFailures().isEmpty && profile.untestedPoints.isEmpty
    }

    /// `{"profile","ok","points","tests","failures":[{"line","message"}],"untested":[…],"problems":["file:line:column: …"]}`.
    var document: Model.JSONValue {
        let profile = loaded.isClean ? loaded.value : nil
        let failures = (profile?.goldenFailures() ?? []).map { failure -> Model.JSONValue in
            .compact([("line", .integer(failure.line)), ("message", .string(failure.message))])
        }
        let untested = (profile?.untestedPoints ?? []).map(Model.JSONValue.string)
        let members: [(String, Model.JSONValue)] = [
            ("profile", .string(id)), ("ok", .bool(holds)),
            ("points", profile.map { .integer($0.points.count) } ?? .null),
            ("tests", profile.map { .integer($0.tests.count) } ?? .null),
            ("failures", .array(failures)), ("untested", .array(untested)),
            ("problems", .array(loaded.problems.map { .string($0.description) })),
        ]
        return .compact(members)
    }
}
