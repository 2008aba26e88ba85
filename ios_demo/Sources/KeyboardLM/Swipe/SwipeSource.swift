import Foundation

/// The source of words that a path may have meant: P(word | context) x P(path | word).
///
/// `keyboard_lm/keyboard/swiped.py` is the law.
struct SwipeSource {
    /// Finds words of the lexicon.
    let decoder: () -> SwipeDecoder
    /// Finds the writer's, as far as no lexicon knows them; nil for none.
    let own: OwnWords?
    let scorer: WordScorer
    let form: TextForm
    /// How much the lexicon's frequency counts against the network in a word's probability.
    let frequencyMix: Double

    /// Words for the path of a request, which stands between two words.
    ///
    /// - Throws: `KeyboardLMError` where no finger can have drawn it.
    func words(_ place: Place) throws -> [Offer] {
        let path = place.request.path
        let found = try decoder().find(path) + (own?.swiped(path) ?? [])
        return try zip(found, probabilities(place, found)).map { each, given in
            let probability = place.view.map { $0.mix(given, each.text) } ?? given
            let mixed = (1 - frequencyMix) * probability + frequencyMix * exp(each.logFrequency)
            return Offer(
                text: place.asNext(each.text), word: each.text, kind: .swiped, source: .swipe, logPrior: logarithm(mixed),
                logChannel: each.logLikelihood)
        }
    }

    // By the network, in one call about the pieces of those that could win most; 0 where it was not asked.
    private func probabilities(_ place: Place, _ found: [SwipeCandidate]) throws -> [Double] {
        var given = [Double](repeating: 0, count: found.count)
        guard let boundary = place.boundary else { return given }
        let tokens = found.map { self.tokens($0.text, place) }
        let worth = zip(scorer.look(boundary, tokens), found).map { logarithm($0.probability) + $1.logLikelihood }
        let order = worth.indices.sorted { worth[$0] != worth[$1] ? worth[$0] > worth[$1] : $0 < $1 }
        for (place, score) in zip(order, try scorer.ask(boundary, order.map { tokens[$0] })) where score.isExact {
            given[place] = score.probability
        }
        return given
    }

    // What the word is to the network where it comes next; nothing if it is not one word there.
    private func tokens(_ word: CodePoints, _ place: Place) -> [CodePoints] {
        guard place.typed.startsSentence else { return TextForm.isWord(word) ? [word] : [] }
        let tokens = form.encodeTokens(word)
        return tokens.count == 1 && TextForm.isWord(tokens[0]) ? tokens : []
    }
}
