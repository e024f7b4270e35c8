import ArgumentParser

/// A failure that is told as it is.
struct ValidationFailure: Error, CustomStringConvertible {
    var description: String

    init(_ description: String) {
        self.description = description
    }
}

/// Runs `body`; what it throws is told on stderr, with exit code 1.
func orComplain(_ body: () throws -> Void) throws {
    do {
        try body()
    } catch let code as ExitCode {
        throw code
    } catch {
        Console.talk("headgate: \(error)")
        throw ExitCode(1)
    }
}

/// A reason that is recorded for ever says something.
func checkReason(_ reason: String?) throws {
    guard let reason, reason.allSatisfy(\.isWhitespace) else { return }
    throw ValidationError("--reason is empty")
}
