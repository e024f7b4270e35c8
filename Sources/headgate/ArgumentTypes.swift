import ArgumentParser
import Gateway
import Model

/// A stretch of time as people write it: `90s`, `30m`, `2h`, `1d`.
struct DurationArgument: ExpressibleByArgument, Hashable {
    var duration: Duration

    /// Longest that is taken: no lease is longer.
    private static let longest: Duration = .seconds(30 * 86_400)

    init?(argument: String) {
        let units: [String: Int64] = ["s": 1, "m": 60, "min": 60, "h": 3600, "d": 86_400]
        let digits = argument.prefix { $0.isASCII && $0.isNumber }
        guard let amount = Int64(digits, in: 1 ... .max), let factor = units[String(argument.dropFirst(digits.count))],
            case let (seconds, overflow) = amount.multipliedReportingOverflow(by: factor), !overflow,
            .seconds(seconds) <= Self.longest
        else { return nil }
        duration = .seconds(seconds)
    }
}

/// A moment: RFC 3339 in UTC, or a day.
struct MomentArgument: ExpressibleByArgument {
    var time: UnixTime

    init?(argument: String) {
        guard let time = UnixTime(rfc3339: argument) ?? UnixTime(rfc3339: argument + "T00:00:00Z") else { return nil }
        self.time = time
    }
}

extension CommandID: ExpressibleByArgument {
    public init?(argument: String) {
        self.init(argument)
    }
}

extension Command.Mode: ExpressibleByArgument {}
extension HumanReason: ExpressibleByArgument {}
extension Lane: ExpressibleByArgument {}
extension CommandExport.Format: ExpressibleByArgument {}

extension DeskOrder.Scope: ExpressibleByArgument {
    public init?(argument: String) {
        self.init(argument)
    }
}
