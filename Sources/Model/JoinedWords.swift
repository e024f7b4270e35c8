extension Sequence<String?> {
    /// What there is, behind one another; nil where there is nothing.
    package var joinedWords: String? {
        let words = compactMap(\.self)
        return words.isEmpty ? nil : words.joined(separator: "; ")
    }
}
