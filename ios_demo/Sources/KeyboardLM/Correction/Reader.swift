/// Reads misspelt words of a context for the network, as what was meant where that is beyond doubt; the text itself stays as it
/// is. By letters and frequency alone, so that the reading of a word is the same in every context.
package final class Reader {
    private let search: CandidateSearch
    private let words: KnownWords
    private let meant = Memo<CodePoints, CodePoints>(most: 1024)

    /// - Parameter words: what is a word; the writer's own are left alone.
    package init(_ search: CandidateSearch, _ words: KnownWords) { (self.search, self.words) = (search, words) }

    /// A token of the text form, or the word that it stands for where it is no word and that is clear.
    package func read(_ token: CodePoints) -> CodePoints {
        let rest = token.suffix(from: 1)
        guard token.count >= Self.leastLetters, token.values.allSatisfy(CharacterClass.isAlpha), rest == Case.fold(rest),
            !words.isWord(token)
        else { return token }
        return meant.value(token) { find(token) }
    }

    private func find(_ word: CodePoints) -> CodePoints {
        let found = search.find(word).map { (-$0.logLikelihood - $0.logFrequency, $0.text, $0.logLikelihood) }.sorted(by: <)
        guard let best = found.first, best.2 >= Self.leastChannel else { return word }
        return found.count > 1 && found[1].0 - best.0 < Self.leastLead ? word : best.1
    }

    private static let leastLetters = 5  // shorter ones look like too many words
    private static let leastChannel = -8.0  // logarithm of an error or two of the usual kinds
    private static let leastLead = 3.0  // logarithm by which the best word must be ahead of the next
}
