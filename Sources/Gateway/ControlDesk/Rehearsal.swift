package import Model

/// What every guard says to a command, with what it looked at.
package struct Rehearsal: Sendable {
    package let id: CommandID
    /// `{"guard","verdict","code","inputs"}` each.
    package let guards: [JSONValue]

    package init(id: CommandID, guards: [JSONValue]) {
        self.id = id
        self.guards = guards
    }

    private func guards(saying verdict: String) -> [JSONValue] {
        guards.filter { $0["verdict"]?.text == verdict }
    }

    /// The code that would be published: of several that which is preferred.
    package var code: RefusalCode? {
        let codes = guards(saying: "refuse").compactMap { $0["code"]?.text.flatMap(RefusalCode.init(rawValue:)) }
        return RefusalCode.allCases.first { codes.contains($0) }
    }

    package var isRefused: Bool { !guards(saying: "refuse").isEmpty }
    package var isHeld: Bool { !isRefused && !guards(saying: "hold").isEmpty }

    /// One line for each guard that refuses.
    var refusals: [String] {
        guards(saying: "refuse").map { refusal in
            let inputs = refusal["inputs"].map { ": \($0.assignments)" } ?? ""
            return TextTable.safe("  \(refusal.shown("guard")) refuses, \(refusal.shown("code"))\(inputs)")
        }
    }

    /// For people: all guards, then the verdict.
    ///
    /// - Parameter mode: what the command asks for.
    package func text(_ mode: Command.Mode) -> String {
        var table = TextTable(["GUARD", "VERDICT", "CODE", "INPUTS"])
        for found in guards {
            table.add([
                found.shown("guard"), found.shown("verdict"), found.shown("code"), found["inputs"]?.assignments ?? "",
            ])
        }
        return (table.lines + ["verdict: \(verdict(mode))"]).joined(separator: "\n")
    }

    private func verdict(_ mode: Command.Mode) -> String {
        if isRefused { return "it would be rejected, \(code?.words ?? "with a code that this version does not know")" }
        if isHeld { return "it would be held until a person decides" }
        return mode == .shadow ? "it would be shadowed: nothing would be written" : "it would be executed"
    }

    /// `{"verdict":"pass|hold|refuse","code":…,"guards":[…]}`
    package var json: [UInt8] {
        let verdict = isRefused ? "refuse" : isHeld ? "hold" : "pass"
        return JSONValue.compact([
            ("verdict", .string(verdict)), ("code", .optional(code?.rawValue)), ("guards", .array(guards)),
        ]).bytes
    }
}
