import Foundation

/// How the bar is made.
package struct SuggesterOptions: Sendable {
    package var numSlots = 3
    /// Next words are offered behind a word that no space has ended yet where what is typed is this many times as probable as
    /// all longer words that begin with it.
    package var finishedRatio = 2.0
    /// The literal takes a slot, and what a space would put in its place the one beside, only where that has at least this share
    /// of all that may have been meant.
    package var leastShare = 0.2
    /// As many other beginnings that may have been meant by the letters are completed, too.
    package var numMistyped = 6
    package var search = SearchOptions()
    package var candidates = CandidateOptions()
    package var corrector = CorrectorOptions()
    /// When to show ghost text; nil for never.
    package var inline: InlineOptions? = InlineOptions()
    /// Whether an emoji may take the last slot.
    package var emoji = true

    package init() {}
}

/// What suggesters of one tokenizer, language, layout and options can share: tables and memos, nothing of a field.
package final class SuggesterParts {
    package let tokenizer: Tokenizer
    package let language: Language
    package let layout: Layout
    package let options: SuggesterOptions
    let table: PieceTable
    let scorer: WordScorer
    let candidates: CandidateSearch
    let corrector: Corrector
    let filter: OfferFilter
    let knownWords: KnownWords
    /// Finds what a path may have meant; what it needs of the lexicon is arranged at the first.
    private(set) lazy var swipes = SwipeDecoder(language.lexicon, layout)

    /// - Parameter isOffensive: words that are never offered; nil for those the lexicon marks.
    package init(
        _ tokenizer: Tokenizer, _ language: Language, _ layout: Layout, options: SuggesterOptions = SuggesterOptions(),
        isOffensive: ((CodePoints) -> Bool)? = nil
    ) {
        (self.tokenizer, self.language, self.layout, self.options) = (tokenizer, language, layout, options)
        let maxNodes = options.search.maxNodes, lexicon = language.lexicon
        table = PieceTable(tokenizer)
        scorer = WordScorer(tokenizer, maxNodes: maxNodes)
        let channel = Channel(layout, alphabet: lexicon.alphabet, parameters: language.channel)
        candidates = CandidateSearch(lexicon, channel, options.candidates)
        let known = language.knownWords()
        knownWords = known
        corrector = Corrector(
            candidates, tokenizer, options: options.corrector, maxNodes: maxNodes, words: known, gate: language.gate)
        filter = OfferFilter(isOffensive: isOffensive ?? lexicon.isOffensive, mayOffer: known.mayOffer)
    }
}

/// The suggestion bar: offers of all sources, through one door, ranked and arranged in answer to one keystroke.
///
/// The field itself is somebody else's (see `Session`). `keyboard_lm/keyboard/suggester.py` is the law.
package final class Suggester {
    package let form: TextForm
    private let options: SuggesterOptions
    private let personal: PersonalStore?
    private let knownWords: KnownWords
    private let filter: OfferFilter
    private let boundaries: Boundaries
    private let corrector: Corrector
    private let words: WordSources
    private let meant: MeantSources
    private let ahead: Ahead
    private let swiped: SwipeSource
    package let layout: Layout

    /// - Parameters:
    ///   - backend: the network; nobody else may use its cache.
    ///   - parts: of the tokenizer that it was trained with.
    ///   - personal: what was learned from the writer; nil for nothing.
    /// - Throws: `KeyboardLMError` where the KV cache is too small for a context and a tree.
    package init(_ backend: any Backend, _ parts: SuggesterParts, personal: PersonalStore? = nil) throws {
        let language = parts.language, lexicon = language.lexicon, options = parts.options, maxNodes = options.search.maxNodes
        (self.options, self.personal) = (options, personal)
        form = parts.tokenizer.form
        let known = personal.map { store in parts.knownWords.another { store.isKnown($0) } } ?? parts.knownWords
        knownWords = known
        let filter = parts.filter.another(mayOffer: known.mayOffer)
        self.filter = filter
        let reader = Reader(parts.candidates, known)
        boundaries = try Boundaries(backend, parts.tokenizer, maxNodes: maxNodes, table: parts.table, read: reader.read)
        corrector = parts.corrector.another { word in
            guard let personal else { return false }
            return personal.isProtected(word) || (personal.isKnown(word) && !lexicon.isKnown(word))
        }
        // One more than is shown: the typed word itself may be among them.
        let numWords = options.numSlots + 1
        words = WordSources(
            scorer: parts.scorer, language: language, numWords: numWords, logMix: logarithm(options.corrector.frequencyMix),
            natsPerStep: options.candidates.natsPerStep, words: known)
        let ownWords = personal.map { OwnWords($0, language, parts.layout) }
        layout = parts.layout
        swiped = SwipeSource(
            decoder: { parts.swipes }, own: ownWords, scorer: parts.scorer, form: form,
            frequencyMix: options.corrector.frequencyMix)
        meant = MeantSources(
            corrector: corrector, search: parts.candidates, boundaries: boundaries, ownWords: ownWords, personal: personal,
            numMistyped: options.numMistyped, leastShare: options.leastShare)
        ahead = Ahead(
            table: boundaries.table, scorer: parts.scorer, isUnfit: { filter.isOffensive($0) || !known.mayOffer($0) },
            maxNodes: maxNodes, numWords: numWords, finishedRatio: options.finishedRatio, ghosts: options.inline)
    }

    /// Whether a word is never offered.
    package func isOffensive(_ word: CodePoints) -> Bool { filter.isOffensive(word) }

    /// Drops what the network has computed for earlier texts.
    package func forget() {
        boundaries.cache.forget()
        corrector.forget()
    }

    /// The bar for a request. What the turn does not allow is left out: first branches of the word search, then all of them,
    /// then a new distribution, and with it the model.
    package func answer(_ request: Request, _ turn: Turn = Turn()) throws -> Answer {
        let begun = turn.clock()
        guard let personal else { return try answer(request, turn, begun) }
        return try personal.held { try answer(request, turn, begun) }
    }

    private func answer(_ request: Request, _ turn: Turn, _ begun: Double) throws -> Answer {
        let isDrawn = !request.path.isEmpty
        var typed = form.splitTyped(Boundaries.recent(request.text))
        if isDrawn && !typed.partial.isEmpty {
            typed = form.splitTyped(Boundaries.recent(request.text) + " ")  // a swiped word is always another
        }
        let boundary = try boundaries.atOnce(typed, turn)
        let numFed = turn.numCalls
        let view = personal?.view(typed.messages.last ?? [])
        let place = Place(request: request, typed: typed, turn: turn, boundary: boundary, view: view)
        let ranking = Ranking(filter, view)
        let make = isDrawn ? byPath : place.word.isEmpty ? betweenWords : inWord
        var answer = try make(place, ranking)
        answer.stage = Self.stage(turn, hasBoundary: boundary != nil, numFed: numFed)
        answer.numModelCalls = turn.numCalls
        answer.deviceMs = turn.spentMs
        answer.hostMs = (turn.clock() - begun) * 1000
        answer.revision = request.revision
        return answer
    }

    private func search(_ place: Place, _ prefix: CodePoints) throws -> SearchResult? {
        guard let boundary = place.boundary else { return nil }
        var options = self.options.search
        options.numWords = self.options.numSlots + 1
        return try WordSearch.find(boundaries.table, boundary, prefix, options)
    }

    private func betweenWords(_ place: Place, _ ranking: Ranking) throws -> Answer {
        let found = try search(place, "")?.words ?? []
        ranking.add(words.network(place, found))
        ranking.add(words.own(place, found))
        if ranking.count == 0 { ranking.add(words.frequent(place)) }
        let offers = ranking.best()
        let ghost = try offers.first.flatMap { try ahead.ghostBetween(place, $0) }
        let leastShare = place.boundary != nil ? Arrangement.leastShare : 0
        return Answer(slots: Arrangement.slots(offers, 1, options.numSlots, leastShare: leastShare), ghost: ghost)
    }

    private func inWord(_ place: Place, _ ranking: Ranking) throws -> Answer {
        let numSlots = options.numSlots
        if let shortcut = meant.shortcut(place) {
            let kept = Slot(place.word, .literal, 0, replaced: place.word)
            let put = Slot(shortcut.text, .correction, 1, replaced: place.word)
            return Answer(slots: Array([kept, put].prefix(numSlots)), correction: shortcut)
        }
        let result = try search(place, place.prefix), found = result?.words ?? []
        ranking.add(words.network(place, found))
        ranking.add(words.own(place, found))
        if ranking.count < numSlots { ranking.add(words.frequent(place)) }
        let verdict = try meant.verdict(place)
        ranking.add(meant.beginnings(place))
        ranking.add(meant.words(place, verdict))
        let literal = meant.literal(place, verdict)
        let total = ranking.total() + exp(literal.logJoint)
        if let made = meant.correction(place, verdict), !filter.hasOffensive(made.text) {
            let offers = ranking.best(), correction = Correction(replaced: made.replaced, text: made.text)
            if meant.isLikely(place, made, total) {
                let slots = Arrangement.withCorrection(offers, total, correction, literal, numSlots)
                return Answer(slots: slots, correction: correction)
            }
            if exp(made.logJoint) >= Arrangement.leastShare * total
                || Arrangement.contains(offers.prefix(numSlots), made.text)
            {
                let slots = Arrangement.withUnlikelyCorrection(offers, total, correction, numSlots)
                return Answer(slots: slots, correction: correction)
            }
        }
        guard let result else {  // by frequency alone: no share is small enough to say anything
            return Answer(slots: Arrangement.slots(ranking.best(), total, numSlots, leastShare: 0))
        }
        if ahead.isFinished(result) && knownWords.isWord(place.word) {
            let behind = try ahead.behind(place, result), total = total > 0 ? total : 1
            ranking.add(ahead.following(behind, total))
            let slots = Arrangement.slots(ranking.best(), total, numSlots)
            let emoji = options.emoji && numSlots > 2 ? words.emoji(place).filter(filter.allows) : []
            return Answer(slots: Arrangement.withLast(slots, emoji, numSlots), ghost: try ahead.ghostBehind(place, behind))
        }
        let slots = Arrangement.slots(ranking.best(), total, numSlots)
        return Answer(slots: slots, ghost: try slots.first.flatMap { try ahead.ghostInside(place, result, $0) })
    }

    private func byPath(_ place: Place, _ ranking: Ranking) throws -> Answer {
        ranking.add(try swiped.words(place))
        return Answer(slots: Arrangement.slots(ranking.best(), ranking.total(), options.numSlots + 1, leastShare: 0))
    }

    private static func stage(_ turn: Turn, hasBoundary: Bool, numFed: Int) -> Stage {
        if !hasBoundary { return .personalAndLexicon }
        if !turn.wasRefused { return .full }
        if turn.numCalls > numFed { return .fewerBranches }
        return numFed > 0 ? .noBranches : .cached
    }
}
