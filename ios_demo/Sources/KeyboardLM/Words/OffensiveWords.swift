/// Says of a word whether it must not be offered. Each form of a word has to be listed.
package struct OffensiveWords {
    private let lexicon: Lexicon
    private let blocked: Set<CodePoints>
    private let allowed: Set<CodePoints>

    /// - Parameters:
    ///   - lexicon: whose marks count.
    ///   - blocked: more such words, in any case.
    ///   - allowed: words that may be offered whatever else is said of them, in any case.
    package init(_ lexicon: Lexicon, blocked: [CodePoints] = [], allowed: [CodePoints] = []) {
        self.lexicon = lexicon
        self.blocked = Set(blocked.map(Case.fold))
        self.allowed = Set(allowed.map(Case.fold))
    }

    package func callAsFunction(_ word: CodePoints) -> Bool {
        let key = Case.fold(word)
        return !allowed.contains(key) && (blocked.contains(key) || lexicon.isOffensive(word))
    }
}
