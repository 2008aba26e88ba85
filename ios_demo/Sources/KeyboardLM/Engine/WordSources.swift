import Foundation

/// Sources of words that nobody mistyped: the network's, the writer's own, the lexicon's, emoji.
///
/// Next words between words, completions inside one; `keyboard_lm/keyboard/sources.py` is the law.
struct WordSources {
    let scorer: WordScorer
    let language: Language
    /// Most words of one source.
    let numWords: Int
    /// Logarithm of how probable the most frequent word is, where nothing is known but frequencies.
    let logMix: Double
    /// What one step of the lexicon's frequency scale is worth.
    let natsPerStep: Double
    let words: KnownWords

    /// The words that a search has found, but for the one that was typed.
    func network(_ place: Place, _ found: [Word]) -> [Offer] {
        found.compactMap {
            offer(place, written: words.cased($0.text), word: $0.text, .network, logarithm($0.probability))
        }
    }

    /// The writer's own words, but for those found by the network and the one that was typed.
    ///
    /// Where the network knows one of them as one piece, that is its probability there; else the writer's alone.
    func own(_ place: Place, _ found: [Word]) -> [Offer] {
        guard let view = place.view else { return [] }
        let keys = Set(found.map { Case.fold($0.text) })
        let own = view.candidates(place.prefix, numWords).filter { !keys.contains(Case.fold($0)) }
        let scores = place.boundary.map { scorer.look($0, own.map { [$0] }) }
        return own.indices.compactMap { index in
            let score = scores?[index]
            let logPrior = score?.isExact == true ? logarithm(score?.probability ?? 0) : -.infinity
            return offer(place, written: own[index], word: own[index], .ownWords, logPrior)
        }
    }

    /// The most frequent words of the lexicon: for want of better ones.
    func frequent(_ place: Place) -> [Offer] {
        let folded = Case.fold(place.word)
        return language.lexicon.frequentWords(place.word, limit: numWords).compactMap { word, frequency in
            guard place.word.isEmpty || Case.fold(word) != folded else { return nil }
            let logPrior = logMix + Double(frequency - Lexicon.maxFrequency) * natsPerStep
            return Offer(
                text: place.written(word), word: word, kind: place.kind, source: .lexicon, logPrior: logPrior, replaced: place.word)
        }
    }

    /// The emoji that stand for the word under the cursor; they are on no scale with words.
    func emoji(_ place: Place) -> [Offer] {
        language.emoji.find(place.word).map {
            Offer(text: $0, word: place.word, kind: .emoji, source: .emoji, logPrior: -.infinity, replaced: place.word)
        }
    }

    private func offer(
        _ place: Place, written: CodePoints, word: CodePoints, _ source: Offer.Source, _ logPrior: Double
    ) -> Offer? {
        let text = place.written(written)
        guard place.word.isEmpty || Case.fold(text) != Case.fold(place.word) else { return nil }
        return Offer(text: text, word: word, kind: place.kind, source: source, logPrior: logPrior, replaced: place.word)
    }
}
