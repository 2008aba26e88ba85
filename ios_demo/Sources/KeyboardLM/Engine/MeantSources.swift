import Foundation

/// Sources of words that may have been meant by the letters of a word, and the decision to put one in its place.
///
/// `keyboard_lm/keyboard/meant.py` is the law.
struct MeantSources {
    let corrector: Corrector
    let search: CandidateSearch
    let boundaries: Boundaries
    /// The writer's, as far as no lexicon knows them; nil for none.
    let ownWords: OwnWords?
    /// What was taken back; nil for nothing.
    let personal: PersonalStore?
    /// As many other beginnings are completed.
    let numMistyped: Int
    /// Of a correction among all that may have been meant.
    let leastShare: Double

    /// What to make of the word under the cursor.
    func verdict(_ place: Place) throws -> Verdict {
        let text = place.request.text
        guard text.hasSuffix(place.word) else { return Verdict() }  // written with other signs ("’") than the text form has
        return try corrector.judge(
            Boundaries.recent(text), { try boundaries.atOnce($0, place.turn) }, taps: place.request.taps,
            prior: place.view.map { view in { view.mix($0, $1) } }, more: ownWords.map { own in { own.find($0, $1) } },
            typed: place.typed)
    }

    /// Words whose beginning may have been meant by the letters.
    func beginnings(_ place: Place) -> [Offer] {
        let word = place.word, taps = place.request.taps
        guard numMistyped > 0, word.values.allSatisfy(CharacterClass.isAlpha), let boundary = place.boundary else { return [] }
        let ofWord = taps.count >= word.count ? Array(taps.suffix(word.count)) : []
        let found = search.mistypedCompletions(
            boundaries.table, boundary, place.prefix, ofWord, numPrefixes: numMistyped)
        return found.map { written, probability, logLikelihood in
            Offer(
                text: Place.asTyped(written, word), word: written, kind: .correction, source: .mistyped,
                logPrior: logarithm(probability), logChannel: logLikelihood, replaced: word)
        }
    }

    /// What a verdict holds, but for the literal.
    func words(_ place: Place, _ verdict: Verdict) -> [Offer] {
        let word = place.word, folded = Case.fold(word), made = verdict.correction?.replaced ?? word
        return verdict.hypotheses.compactMap { each in
            guard !each.isLiteral, each.replaced == word || each.replaced == made else { return nil }
            let text = each.text
            let isLonger = text.count > folded.count && Case.fold(text).hasPrefix(folded) && !text.contains(0x20)
            return Offer(
                text: text, word: text, kind: isLonger ? .completion : .correction, source: .corrector,
                logPrior: each.logJoint - each.logChannel, logChannel: each.logChannel, replaced: each.replaced)
        }
    }

    /// What was typed, taken at its word; of no worth where the verdict does not hold it.
    func literal(_ place: Place, _ verdict: Verdict) -> Offer {
        let logJoint = verdict.hypotheses.first(where: \.isLiteral)?.logJoint ?? -.infinity
        return Offer(
            text: place.word, word: place.word, kind: .literal, source: .typed, logPrior: logJoint, replaced: place.word)
    }

    /// The text that the writer has the letters stand for; nil where they are no shortcut of theirs.
    func shortcut(_ place: Place) -> Correction? {
        guard let personal, place.request.mayCorrect, let text = personal.shortcuts.text(place.word) else { return nil }
        return Correction(replaced: place.word, text: Place.asTyped(text, place.word))
    }

    /// Whether a correction has its share of all that may have been meant, longer words included.
    func isLikely(_ place: Place, _ best: Hypothesis, _ total: Double) -> Bool {
        let lacksApostrophe = best.text.contains(0x27) && Self.letters(best.text) == Self.letters(best.replaced)
        let share = total > 0 ? exp(best.logJoint) / total : 1
        return best.replaced != place.word || lacksApostrophe || share >= leastShare
    }

    /// What a space should put in the place of what was typed; nil to leave it. Longer words do not count: who types a space
    /// has finished the word.
    func correction(_ place: Place, _ verdict: Verdict) -> Hypothesis? {
        guard let best = verdict.correction, place.request.mayCorrect else { return nil }
        return personal?.isBlocked(best.replaced, best.text) == true ? nil : best
    }

    private static func letters(_ text: CodePoints) -> CodePoints {
        CodePoints(Case.fold(text).values.filter(CharacterClass.isAlphanumeric))
    }
}
