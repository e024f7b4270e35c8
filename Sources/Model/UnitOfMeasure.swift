/// Checks unit codes of UCUM, the Unified Code for Units of Measure: atoms with prefixes, exponents, `.`, `/` and
/// annotations; no parentheses. Two units of power engineering that UCUM lacks, `var` and its multiples, are allowed.
package enum UnitOfMeasure {
    private static let metric: Set<String> = [
        "m", "g", "s", "A", "K", "mol", "cd", "Hz", "N", "Pa", "J", "W", "V", "C", "F", "Ohm", "S", "Wb", "T", "H",
        "lm", "lx",
        "L", "l", "eV", "bar", "var", "Cel", "B", "bit", "By", "rad", "cal", "t",
    ]
    private static let plain: Set<String> = [
        "min", "h", "d", "wk", "mo", "a", "deg", "'", "''", "%", "[ppth]", "[ppm]", "[ppb]", "[pH]", "[degF]", "[psi]",
        "[in_i]", "[ft_i]", "[gal_us]", "[lb_av]", "[Btu_IT]", "[HP]", "10*3", "10*6", "atm", "m[H2O]", "mm[Hg]",
        "[RH]",
    ]
    private static let prefixes = [
        "da", "Y", "Z", "E", "P", "T", "G", "M", "k", "h", "d", "c", "m", "u", "n", "p", "f",
    ]

    private static let usualMistakes: [String: String] = [
        "kWh": "kW.h", "Wh": "W.h", "MWh": "MW.h", "kVAh": "kV.A.h", "VAh": "V.A.h", "kvarh": "kvar.h", "varh": "var.h",
        "VA": "V.A", "kVA": "kV.A", "MVA": "MV.A", "°C": "Cel", "degC": "Cel", "°F": "[degF]", "rpm": "/min",
        "RPM": "/min",
        "r/min": "/min", "ohm": "Ohm", "Ω": "Ohm", "hours": "h", "sec": "s", "seconds": "s", "minutes": "min",
        "m³": "m3",
        "m³/h": "m3/h", "psi": "[psi]", "ppm": "[ppm]", "pH": "[pH]", "°": "deg", "µs": "us", "none": "1",
        "kvarH": "kvar.h",
        "Ah": "A.h", "bpm": "/min", "percent": "%", "l/min": "L/min", "days": "d",
    ]

    /// Whether `code` is a unit.
    package static func isValid(_ code: String) -> Bool {
        guard !code.isEmpty, code.utf8.count <= 40 else { return false }
        let body = code.hasPrefix("/") ? code.dropFirst() : code[...]
        return body.split(omittingEmptySubsequences: false, whereSeparator: { $0 == "." || $0 == "/" })
            .allSatisfy { isTerm($0) }
    }

    /// What the writer of `code` probably meant.
    package static func suggestion(for code: String) -> String? {
        usualMistakes[code]
    }

    private static func isTerm(_ term: Substring) -> Bool {
        var atom = term
        if atom.hasSuffix("}"), let open = atom.firstIndex(of: "{") { atom = atom[..<open] }
        if atom.isEmpty { return term.hasPrefix("{") && term.count > 2 }
        if atom.allSatisfy({ $0.isASCII && $0.isNumber }) { return true }
        if plain.contains(String(atom)) || isMetric(atom) { return true }
        let base = atom.trimmingSuffix { $0.isASCII && $0.isNumber || $0 == "-" || $0 == "+" }
        return base.count < atom.count && (plain.contains(String(base)) || isMetric(base))
    }

    private static func isMetric(_ atom: Substring) -> Bool {
        if metric.contains(String(atom)) { return true }
        return prefixes.contains { atom.hasPrefix($0) && metric.contains(String(atom.dropFirst($0.count))) }
    }
}

extension Substring {
    fileprivate func trimmingSuffix(while predicate: (Character) -> Bool) -> Substring {
        var end = endIndex
        while end > startIndex, predicate(self[index(before: end)]) { end = index(before: end) }
        return self[..<end]
    }
}
