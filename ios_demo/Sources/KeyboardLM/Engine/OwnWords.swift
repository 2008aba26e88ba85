/// The words of the writer's own that may have been meant: names and jargon that the lexicon does not know.
///
/// Found by what was typed as the lexicon's are; `keyboard_lm/keyboard/own_words.py` is the law.
final class OwnWords {
    private let store: PersonalStore
    private let language: Language
    private let layout: Layout
    private var numWords = -1
    private var words: Set<CodePoints> = []  // that `search` finds, or no lexicon can hold
    private var search: CandidateSearch?
    private static let mostWords = 2000  // the heaviest of all that were learned

    init(_ store: PersonalStore, _ language: Language, _ layout: Layout) {
        (self.store, self.language, self.layout) = (store, language, layout)
    }

    /// The learned words that may have been meant by the letters of a finished word, most promising first.
    func find(_ typed: CodePoints, _ taps: [Tap?]) -> [Candidate] {
        look()
        guard let search else { return [] }
        return search.find(typed, taps).map {
            var candidate = $0
            candidate.logFrequency = -.infinity  // how probable a word is, the store says
            return candidate
        }
    }

    private func look() {
        let numWords = store.numWords
        guard numWords != self.numWords else { return }
        self.numWords = numWords
        let words = Set(store.heaviestWords(Self.mostWords).filter { !language.lexicon.isKnown($0) })
        guard words != self.words else { return }
        self.words = words
        let entries = words.filter(Lexicon.canHold).sorted().map { Entry($0, frequency: 1) }
        search = nil
        if !entries.isEmpty, let lexicon = try? Lexicon.build(entries) {  // or of more letters than a lexicon can hold
            var options = CandidateOptions()
            (options.numWords, options.beam) = (4, 200)
            let channel = Channel(layout, alphabet: lexicon.alphabet, parameters: language.channel)
            search = CandidateSearch(lexicon, channel, options)
        }
    }
}
