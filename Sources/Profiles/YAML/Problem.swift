/// Something wrong in a file that a person wrote: where, what, and what is allowed instead.
package struct Problem: Hashable, Sendable, Comparable, CustomStringConvertible {
    package enum Severity: String, Sendable {
        case error, warning
    }

    package var file: String
    /// From 1; a file that cannot be read at all has its problem at 1:1.
    package var line: Int
    package var column: Int
    package var severity: Severity
    package var message: String

    package init(file: String, line: Int, column: Int, severity: Severity, message: String) {
        (self.file, self.line, self.column) = (file, line, column)
        (self.severity, self.message) = (severity, message)
    }

    /// `file:line:column: error: message`, as compilers write it and editors jump to it.
    package var description: String {
        "\(file):\(line):\(column): \(severity.rawValue): \(message)"
    }

    package static func < (left: Problem, right: Problem) -> Bool {
        (left.file, left.line, left.column, left.message) < (right.file, right.line, right.column, right.message)
    }
}

/// What loading gave: a value unless something is wrong, and everything that is.
package struct Loaded<Value: Sendable>: Sendable {
    package var value: Value?
    /// In the order of files and lines.
    package var problems: [Problem]

    /// Whether nothing but warnings was found.
    package var isClean: Bool {
        value != nil && !problems.contains { $0.severity == .error }
    }
}

/// Gathers all problems of one load, so that a person sees them at once.
final class ProblemList {
    private(set) var problems: Set<Problem> = []

    var hasErrors: Bool { problems.contains { $0.severity == .error } }
    var sorted: [Problem] { problems.sorted() }

    func error(_ place: Place, _ message: String) {
        add(.error, place, message)
    }

    func warning(_ place: Place, _ message: String) {
        add(.warning, place, message)
    }

    private func add(_ severity: Problem.Severity, _ place: Place, _ message: String) {
        problems.insert(
            Problem(file: place.file, line: place.line, column: place.column, severity: severity, message: message))
    }
}

/// A place in a file.
struct Place: Hashable {
    var file: String
    var line = 1
    var column = 1
}
