/// Scalars in the YAML that importers write, inside flow mappings: whatever a source calls a value, a reader gets that
/// text back, and never a number, a truth value or a comment.
enum YAMLText {
    private static let reserved: Set<String> = ["true", "false", "yes", "no", "on", "off", "null", "y", "n"]

    static func scalar(_ text: String) -> String {
        isPlain(text) ? text : quoted(text)
    }

    /// Letters first, no sign that means something to YAML, words parted by single spaces.
    private static func isPlain(_ text: String) -> Bool {
        guard let first = text.unicodeScalars.first, first.isASCII, first.properties.isAlphabetic || first == "/",
            text.last != " ", !reserved.contains(text.lowercased()), !text.contains("  "), text != "/"
        else { return false }
        return text.unicodeScalars.allSatisfy { scalar in
            scalar.isASCII
                && (scalar.properties.isAlphabetic || ("0"..."9").contains(scalar)
                    || " _./-".unicodeScalars.contains(scalar))
        }
    }

    private static func quoted(_ text: String) -> String {
        var result = "\""
        for scalar in text.unicodeScalars {
            switch scalar.value {
            case 0x22: result += "\\\""
            case 0x5C: result += "\\\\"
            case 0x0A: result += "\\n"
            case 0x09: result += "\\t"
            case 0x20...0x7E, 0xA1...0x2027, 0x202A...0xD7FF, 0xE000...0xFEFE, 0xFF00...0xFFFD, 0x10000...0x10FFFF:
                result.unicodeScalars.append(scalar)
            default: result += escape(scalar.value)
            }
        }
        return result + "\""
    }

    private static func escape(_ value: UInt32) -> String {
        let digits = String(value, radix: 16, uppercase: true)
        let width = value <= 0xFF ? 2 : 4
        let padding = String(repeating: "0", count: max(0, width - digits.count))
        return (width == 2 ? "\\x" : "\\u") + padding + digits
    }

    /// One comment a line, whatever the text has in it.
    static func comment(_ text: String) -> String {
        let safe = text.unicodeScalars.map { scalar -> Character in
            scalar.value < 0x20 || (0x7F...0xA0).contains(scalar.value) || (0x2028...0x2029).contains(scalar.value)
                || scalar.value == 0xFEFF || scalar.value == 0xFFFE || scalar.value == 0xFFFF ? " " : Character(scalar)
        }
        return "# " + String(safe)
    }

    /// `{a: 1, b: 2}`, with lines that go on below the first key where it gets long.
    static func flow(_ members: [(String, String)], after prefix: String, width: Int = 120) -> String {
        let indent = String(repeating: " ", count: prefix.count + 1)
        var text = prefix + "{"
        var column = text.count
        for (index, member) in members.enumerated() {
            let isLast = index == members.count - 1
            let part = "\(member.0): \(member.1)" + (isLast ? "}" : ",")
            if index > 0 {
                if column + 1 + part.count > width {
                    text += "\n" + indent
                    column = indent.count
                } else {
                    text += " "
                    column += 1
                }
            }
            text += part
            column += part.count
        }
        return members.isEmpty ? text + "}" : text
    }
}
