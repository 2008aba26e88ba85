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
    private var decoder: SwipeDecoder?
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

    /// The learned words that a path may have meant, most promising first.
    ///
    /// - Throws: `KeyboardLMError` where no finger can have drawn it.
    func swiped(_ path: [PathPoint]) throws -> [SwipeCandidate] {
        look()
        return try decoder?.find(path).map {
            SwipeCandidate(entry: $0.entry, text: $0.text, logLikelihood: $0.logLikelihood, logFrequency: -.infinity)
        } ?? []
    }

    private func look() {
        let numWords = store.numWords
        guard numWords != self.numWords else { return }
        self.numWords = numWords
        let words = Set(store.heaviestWords(Self.mostWords).filter { !language.lexicon.isKnown($0) })
        guard words != self.words else { return }
        self.words = words
        let entries = words.filter(Lexicon.canHold).sorted().map { Entry($0, frequency: 1) }
        (search, decoder) = (nil, nil)
        if !entries.isEmpty, let lexicon = try? Lexicon.build(entries) {  // or of more letters than a lexicon can hold
            var options = CandidateOptions()
            (options.numWords, options.beam) = (4, 200)
            let channel = Channel(layout, alphabet: lexicon.alphabet, parameters: language.channel)
            search = CandidateSearch(lexicon, channel, options)
            var drawn = PathBeamOptions()
            (drawn.numNodes, drawn.numWords) = (200, 4)
            decoder = SwipeDecoder(lexicon, layout, beam: drawn)
        }
    }
}
