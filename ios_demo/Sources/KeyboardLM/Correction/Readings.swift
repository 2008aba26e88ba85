import Foundation

/// Form tokens, and how probable the letters' case makes them.
struct WeighedTokens {
    let tokens: [CodePoints]
    let weight: Double
}

/// A hypothesis before the network is asked: ways to continue the context that come to the same text.
struct Reading {
    let replaced: CodePoints
    let text: CodePoints
    let logChannel: Double
    let tokens: [WeighedTokens]
    /// Of the word in the lexicon, as a share of that of the most frequent.
    var frequency = 0.0
    /// Its probability is at least this.
    var logFloor = -Double.infinity
    /// Of its frequency in its probability; nil for the usual one.
    var mix: Double?
    /// Of letters that are no word: their probability, whatever the network says.
    var logUnlisted: Double?
}

/// How a word of the lexicon would be written where another one is.
struct Written {
    /// With the capitals that belong there.
    let text: CodePoints
    /// What it may be to the network.
    let tokens: [WeighedTokens]
    /// Of the capitals typed.
    let logCase: Double
    /// Its letters, folded, without apostrophes.
    let bare: CodePoints
}

/// What was typed, in other words: readings of the letters before the cursor, whatever the context.
///
/// What it remembers of words belongs to no field, so that several correctors can share one.
final class Readings {
    let options: CorrectorOptions
    let search: CandidateSearch
    let words: KnownWords
    let slips: Slips
    let letterModel: LetterModel
    let form: TextForm
    private let lexicon: Lexicon
    private let rates: ErrorRates
    private let tokensAtStart = Memo<CodePoints, CodePoints?>(most: 2048)
    private let written = Memo<Place, Written?>(most: 2048)
    private let lists = Memo<Listed, (words: [Reading], splits: [Reading])>(most: 256)

    private struct Place: MemoKey {
        let word: CodePoints
        let isCapitalised, startsSentence: Bool

        var mixed: UInt64 { word.mixed ^ (isCapitalised ? 1 << 63 : 0) ^ (startsSentence ? 1 << 62 : 0) }
    }

    private struct Listed: MemoKey {
        let word: CodePoints
        let startsSentence: Bool

        var mixed: UInt64 { word.mixed ^ (startsSentence ? 1 << 63 : 0) }
    }

    init(_ search: CandidateSearch, _ form: TextForm, _ options: CorrectorOptions, _ words: KnownWords, _ layout: Layout) {
        (self.search, self.form, self.options, self.words) = (search, form, options, words)
        lexicon = search.lexicon
        rates = search.channel.parameters.rates
        slips = Slips(layout)
        letterModel = LetterModel(search.lexicon)
    }

    /// What was typed, taken at its word: by what is known of it, or by its letters where that is nothing.
    func literal(_ typed: TypedText) -> Reading {
        let word = typed.partial
        var reading = Reading(replaced: word, text: word, logChannel: 0, tokens: literalTokens(typed))
        if words.isKnown(word) && !isMiswritten(word) {
            reading.logFloor = log(options.knownMix) + words.logFrequency(word, natsPerStep: search.options.natsPerStep)
            return reading
        }
        let isName = CharacterClass.isUpper(word[0]) && !typed.startsSentence
        var rate = isName ? options.unknownNameRate : options.unknownRate
        if isMiswritten(word) { rate *= options.miswrittenWeight }
        reading.logUnlisted = log(rate) + letterModel.logProbability(word)
        return reading
    }

    // At the beginning of a sentence a capital may be the word's own.
    private func literalTokens(_ typed: TypedText) -> [WeighedTokens] {
        let word = typed.partial, weight = isMiswritten(word) ? options.miswrittenWeight : 1
        var tokens = [word]
        if let token = token(word, typed), token != word { tokens.append(token) }
        return tokens.map { WeighedTokens(tokens: [$0], weight: weight) }
    }

    /// Only for want of the network, which knows better what is likely to be written though it is no word.
    func literalFrequency(_ word: CodePoints) -> Double {
        let frequency = isMiswritten(word) ? 0 : lexicon.frequency(word)
        if frequency == 0 { return Self.unseen }
        return exp(Double(frequency - Lexicon.maxFrequency) * search.options.natsPerStep)
    }

    /// The form token that a word becomes at the place of the word typed; nil if it is not one word.
    func token(_ word: CodePoints, _ typed: TypedText) -> CodePoints? { token(word, typed.startsSentence) }

    private func token(_ word: CodePoints, _ startsSentence: Bool) -> CodePoints? {
        if !startsSentence { return TextForm.isWord(word) ? word : nil }
        return tokensAtStart.value(word) {
            let tokens = form.encodeTokens(word)
            return tokens.count == 1 && TextForm.kind(of: tokens[0]) == .word ? tokens[0] : nil
        }
    }

    /// The words and the pairs of words that may have been meant.
    func ofWord(_ typed: TypedText, _ taps: [Tap?]) -> (words: [Reading], splits: [Reading]) {
        func find() -> (words: [Reading], splits: [Reading]) {
            (readings(search.find(typed.partial, taps), typed), splits(typed))
        }
        if !taps.isEmpty { return find() }
        return lists.value(Listed(word: typed.partial, startsSentence: typed.startsSentence), find)
    }

    func readings(_ candidates: [Candidate], _ typed: TypedText) -> [Reading] {
        let word = typed.partial, bare = Case.fold(word), isKnown = words.isKnown(word) && !isMiswritten(word)
        return candidates.compactMap { each in
            let place = Place(
                word: each.text, isCapitalised: CharacterClass.isUpper(word[0]), startsSentence: typed.startsSentence)
            guard let written = self.written(place), written.text != word else { return nil }
            let hasSameLetters = written.bare == bare
            var logChannel = each.logLikelihood + written.logCase
            if hasSameLetters && (written.text.contains(Self.apostrophe) || !isKnown) {
                logChannel = max(logChannel, Self.logMiswritten)
            }
            return Reading(
                replaced: word, text: written.text, logChannel: logChannel, tokens: written.tokens, frequency: exp(each.logFrequency))
        }
    }

    // How a word of the lexicon would be written; nil if that is not one word to the network.
    private func written(_ place: Place) -> Written? {
        written.value(place) {
            let word = place.word, folded = Case.fold(word), hasCapital = word != folded
            guard let token = token(word, place.startsSentence) else { return nil }
            var text = word, logCase = 0.0
            var tokens = [WeighedTokens(tokens: [token], weight: 1)]
            if place.isCapitalised {
                text = TextForm.capitalise(word)
                if !place.startsSentence && !hasCapital {
                    tokens = [
                        WeighedTokens(tokens: [token], weight: rates.strayShift), WeighedTokens(tokens: [text], weight: 1),
                    ]
                }
            } else if hasCapital {
                logCase = log(rates.missedShift)
            }
            return Written(
                text: text, tokens: tokens, logCase: logCase, bare: CodePoints(folded.values.filter { $0 != Self.apostrophe }))
        }
    }

    // The pairs of words that a missed space, or the key above it, may have joined.
    private func splits(_ typed: TypedText) -> [Reading] {
        var pairs: [(frequency: Int, left: CodePoints, right: CodePoints, isHit: Bool)] = []
        let isI = !lexicon.isKnown(typed.partial) && isLoneCapital(typed.partial.prefix(1))  // "ihave"
        for (begun, right, isHit) in slips.pairs(typed.partial) {
            let left = isI && begun.count == 1 ? Case.upper(begun) : begun
            guard lexicon.isKnown(left) && lexicon.isKnown(right) else { continue }
            let frequencies = (lexicon.frequency(left), lexicon.frequency(right))
            if min(frequencies.0, frequencies.1) >= options.leastFrequency && !lexicon.isOffensive(left + right) {
                pairs.append((frequencies.0 + frequencies.1, left, right, isHit))
            }
        }
        pairs.sort { ($0.frequency, $0.left, $0.right, $0.isHit ? 1 : 0) > ($1.frequency, $1.left, $1.right, $1.isHit ? 1 : 0) }
        return pairs.prefix(Self.maxSplits).compactMap { _, left, right, isHit in
            guard let token = token(left, typed) else { return nil }
            return Reading(
                replaced: typed.partial, text: left + 0x20 + right,
                logChannel: log(isHit ? options.hitForSpace : rates.missedSpace),
                tokens: [WeighedTokens(tokens: [token, right], weight: 1)])
        }
    }

    /// The words that letters with a digit among them may have been.
    func withoutDigit(_ typed: TypedText) -> [Reading] {
        slips.withoutDigit(typed.partial).compactMap { text in
            guard let token = token(text, typed), lexicon.isKnown(text), lexicon.frequency(text) >= Self.leastForDigit else {
                return nil
            }
            let logFrequency = words.logFrequency(text, natsPerStep: search.options.natsPerStep)
            return Reading(
                replaced: typed.partial, text: text, logChannel: log(options.hitForLetter),
                tokens: [WeighedTokens(tokens: [token], weight: 1)], frequency: exp(logFrequency))
        }
    }

    /// Whether letters are no word but what people write for one.
    func isMiswritten(_ word: CodePoints) -> Bool { lexicon.isMiswritten(word) || (word.count == 1 && isLoneCapital(word)) }

    /// Whether a letter is a word as a capital only: "i".
    func isLoneCapital(_ word: CodePoints) -> Bool {
        let capital = Case.upper(word)
        return !lexicon.isKnown(word) && lexicon.isKnown(capital) && lexicon.frequency(capital) >= Self.leastOfCapital
    }

    static let apostrophe: UInt32 = 0x27
    private static let unseen = 1e-6  // frequency of letters that make no word, where the network cannot be asked
    private static let maxSplits = 4
    private static let leastOfCapital = 150  // of a letter that is a word as a capital: other capitals are initials
    private static let leastForDigit = 70  // frequency of a word that a digit stands in: "mp3" is none
    private static let logMiswritten = log(0.5)  // of leaving out an apostrophe or a capital where what is left is no word
}
