import Foundation

/// Names of ours, made of names that other programs use.
enum Identifiers {
    static let longest = 60

    /// `[a-z0-9_]+`, at most 60 characters; nil where nothing of the text is left. `batteryLevel` becomes
    /// `battery_level`, `Außentemperatur` becomes `aussentemperatur`, `电压` becomes `dian_ya`.
    static func point(_ text: String) -> String? {
        name(split(text), separator: "_")
    }

    /// Also for parts of a profile's id and for connections, which may have hyphens.
    static func part(_ text: String) -> String? {
        name(text, separator: "-")
    }

    /// Whether a name says as much as the text that it was made of.
    static func keeps(_ text: String, as name: String) -> Bool {
        let plain = text.lowercased().map { $0.isASCII && ($0.isLetter || $0.isNumber) ? $0 : "_" }
        let letters = plain.filter { $0 != "_" }
        return String(letters) == name.filter { $0 != "_" && $0 != "-" } && text.allSatisfy { $0.isASCII }
    }

    /// Words that are written together are parted where a small letter, in a word of at least two of them, meets a
    /// capital: kWh stays one word.
    private static func split(_ text: String) -> String {
        var result = ""
        var run = 0
        for character in text {
            if character.isUppercase, run >= 2 { result.append("_") }
            run = character.isLowercase ? run + 1 : 0
            result.append(character)
        }
        return result
    }

    private static func name(_ text: String, separator: Character) -> String? {
        let umlauts = [("ä", "ae"), ("ö", "oe"), ("ü", "ue"), ("ß", "ss"), ("%", " pct "), ("°", ""), ("Δ", "delta ")]
        var folded = text.lowercased()
        for (letter, replacement) in umlauts { folded = folded.replacingOccurrences(of: letter, with: replacement) }
        let latin = folded.applyingTransform(.toLatin, reverse: false) ?? folded
        let plain = (latin.applyingTransform(.stripDiacritics, reverse: false) ?? latin).lowercased()
        var result = ""
        for character in plain.prefix(400) {
            let isKept = character.isASCII && (character.isLetter || character.isNumber)
            if isKept {
                result.append(character)
            } else if !result.isEmpty, result.last != separator {
                result.append(separator)
            }
        }
        result = String(result.prefix(longest))
        while result.last == separator { result.removeLast() }
        return result.isEmpty ? nil : result
    }

    /// `name`, or `name_2`, `name_3`, … where it is taken.
    static func unique(_ name: String, separator: String = "_", isTaken: (String) -> Bool) -> String {
        guard isTaken(name) else { return name }
        var number = 2
        while isTaken("\(name)\(separator)\(number)") { number += 1 }
        return "\(name)\(separator)\(number)"
    }
}
