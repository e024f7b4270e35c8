/// What one guard found, with what it looked at: recorded for every guard of every command.
package struct GuardVerdict: Hashable, Sendable {
    package enum Finding: Hashable, Sendable, Comparable {
        case pass
        /// A person must decide first.
        case hold
        case refuse(RefusalCode)

        /// The worse is the larger; of two refusals the one whose code comes first.
        package static func < (left: Finding, right: Finding) -> Bool {
            left.rank < right.rank
        }

        private var rank: Int {
            switch self {
            case .pass: 0
            case .hold: 1
            case .refuse(let code):
                2 + RefusalCode.allCases.count - (RefusalCode.allCases.firstIndex(of: code) ?? 0)
            }
        }
    }

    package struct Input: Hashable, Sendable {
        package var name: String
        package var value: JSONValue

        package init(_ name: String, _ value: JSONValue) {
            self.name = name
            self.value = value
        }
    }

    /// Name of the guard.
    package var name: String
    package var finding: Finding
    package var inputs: [Input]

    package init(name: String, finding: Finding, inputs: [Input] = []) {
        self.name = name
        self.finding = finding
        self.inputs = inputs
    }

    package var refusal: RefusalCode? {
        if case .refuse(let code) = finding { return code }
        return nil
    }
}

extension [GuardVerdict] {
    /// The worst finding wins; none at all passes.
    package var worst: GuardVerdict.Finding { map(\.finding).max() ?? .pass }

    /// Why a guard refuses with `code`, in words, where it says so.
    package func remark(on code: RefusalCode) -> String? {
        lazy.filter { $0.refusal == code }.flatMap(\.inputs).first { $0.name == "reason" }?.value.text
    }
}
