/// When to correct; `keyboard_lm/correction/corrector.py` says what each is. A ratio is by how much what was meant must be more
/// probable than what was typed.
package struct CorrectorOptions: Equatable, Sendable {
    /// For letters that make no word of the lexicon.
    package var unknownRatio = 10.0
    /// Odds that what was meant is the best hypothesis, where a gate tells them of letters that make no word; the same for the
    /// first word of a field.
    package var leastOdds = 0.4, leastOddsAlone = 0.1
    /// For letters that make a word; that make one with other capitals; for a word that lacks nothing but the apostrophe of
    /// another one, before and after the next word is known.
    package var knownRatio = 300.0, caseRatio = 1.0, contractionRatio = 10.0, contractionRatioBehind = 2.0
    /// How probable letters are that are no word but often written for one.
    package var miswrittenWeight = 0.01
    /// Of a word that nobody listed, among all words; behind a capital that no sentence asks for.
    package var unknownRate = 0.01, unknownNameRate = 0.2
    /// Of the lexicon's frequency in the probability of a listed word that was typed as it is listed.
    package var knownMix = 0.3
    /// Of hitting a key above the space bar for it; the digit above a letter for that.
    package var hitForSpace = 0.002, hitForLetter = 0.001
    /// How much the lexicon's frequency counts against the network in another word's probability; for a field's first word.
    package var frequencyMix = 0.02, frequencyMixAlone = 0.8
    /// Of both words that a missing space is put between; the probability of the two given the context.
    package var leastFrequency = 60, leastPhrase = 1e-7
    /// For the word before the last, now that the next one is known; how much less probable than what was typed a word may
    /// have been, to be thought of again.
    package var reconsiderRatio = 10.0, reconsiderMargin = 100.0
    /// Longer words are left alone.
    package var maxLetters = 24
    /// Of the network, for candidates of several pieces.
    package var maxCalls = 1

    package init() {}
}
