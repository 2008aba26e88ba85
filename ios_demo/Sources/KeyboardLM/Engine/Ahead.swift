import Foundation

/// What may come after the word under the cursor: next words behind a finished one, and ghost text.
///
/// `keyboard_lm/keyboard/ahead.py` is the law.
struct Ahead {
    let table: PieceTable
    let scorer: WordScorer
    /// Of one word; none is in any ghost text.
    let isUnfit: (CodePoints) -> Bool
    let maxNodes: Int
    /// That may follow a finished word.
    let numWords: Int
    let finishedRatio: Double
    /// When to show ghost text; nil for never.
    let ghosts: InlineOptions?

    /// A next word behind the word under the cursor, and how probable it is to follow it.
    typealias Follower = (text: CodePoints, probability: Double)

    /// Whether the letters typed are so much more likely a whole word than the beginning of a longer one.
    func isFinished(_ result: SearchResult) -> Bool {
        let finished = Self.finished(result)
        return finished > 0 && finished >= finishedRatio * (1 - finished)
    }

    /// Next words behind the word under the cursor.
    func behind(_ place: Place, _ result: SearchResult) throws -> [Follower] {
        guard let boundary = place.boundary else { return [] }
        let finished = Self.finished(result)
        let found = try Continuation.words(table, boundary, before(place), maxNodes: maxNodes, numWords: numWords)
        return (found ?? []).map { ($0.text, finished * $0.probability) }
    }

    /// What `behind` returned as offers; its probabilities become shares of `total`.
    func following(_ behind: [Follower], _ total: Double) -> [Offer] {
        behind.map {
            Offer(
                text: $0.text, word: $0.text, kind: .nextWord, source: .continuation,
                logPrior: logarithm($0.probability * total))
        }
    }

    /// The ghost text between two words, which begins with the best offer.
    func ghostBetween(_ place: Place, _ first: Offer) throws -> Ghost? {
        guard let boundary = place.boundary else { return nil }
        return try ghost(boundary, first.word, first.text, exp(first.logJoint))
    }

    /// The ghost text behind a word that is likely finished: the best of what `behind` returned.
    func ghostBehind(_ place: Place, _ behind: [Follower]) throws -> Ghost? {
        guard let boundary = place.boundary, let first = behind.first(where: { !isUnfit($0.text) }) else { return nil }
        return try ghost(boundary, first.text, CodePoints(" ") + first.text, first.probability, before: before(place))
    }

    /// The ghost text inside a word: the rest of its best completion, and what may come after that.
    func ghostInside(_ place: Place, _ result: SearchResult, _ first: Slot) throws -> Ghost? {
        guard let boundary = place.boundary, first.kind == .completion, first.text.hasPrefix(place.word) else { return nil }
        let key = Case.fold(first.text)
        guard let best = result.words.first(where: { Case.fold($0.text) == key }), result.prefixProbability > 0 else {
            return nil
        }
        let probability = min(1, best.probability / result.prefixProbability)
        return try ghost(boundary, best.text, first.text.suffix(from: place.word.count), probability)
    }

    private func before(_ place: Place) -> Path {
        scorer.path([place.typed.startsSentence ? Case.fold(place.word) : place.word])
    }

    // A first word and as many after it as are likely enough together; nil where it is not. `written` is the first word as the
    // model has it, `text` as it would stand behind the cursor, `before` the pieces between the boundary and it.
    private func ghost(
        _ boundary: Boundary, _ written: CodePoints, _ text: CodePoints, _ probability: Double, before: Path = []
    ) throws -> Ghost? {
        guard let ghosts, probability >= ghosts.threshold else { return nil }
        var text = text, probability = probability, path = before + scorer.path([written]), numWords = 1
        while numWords < ghosts.maxWords {
            let least = ghosts.threshold / probability
            let found = try Continuation.words(table, boundary, path, maxNodes: maxNodes, least: 0.99 * least)
            guard let (word, share) = found?.first, probability * share >= ghosts.threshold, !isUnfit(word) else { break }
            text = text + 0x20 + word
            probability *= share
            path += scorer.path([word])
            numWords += 1
        }
        return text.count >= ghosts.minCharacters ? Ghost(text: text, probability: probability) : nil
    }

    private static func finished(_ result: SearchResult) -> Double {
        let total = result.prefixProbability
        return total > 0 ? min(1, result.typedProbability / total) : 0
    }
}
