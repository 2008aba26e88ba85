/// How a form is made of a word, as a language pack lists it.
package struct FormRule: Equatable, Sendable, Decodable {
    /// The ending ("'s", "ing").
    package let add: CodePoints
    /// What the word loses before it ("e").
    package let strip: CodePoints
    /// Ends of words that take it; empty for all.
    package let after: [CodePoints]
    /// Ends of words that do not.
    package let notAfter: [CodePoints]
    /// Of the word; rare ones are as often a misspelling's neighbour.
    package let leastFrequency: Int
    package let leastLetters: Int
    /// Whether its forms may be offered, too: it makes words of nearly all that it fits.
    package let isOffered: Bool

    private enum Keys: String, CodingKey { case add, strip, after, not_after, least_frequency, least_letters, is_offered }

    package init(from decoder: any Decoder) throws {
        let values = try decoder.container(keyedBy: Keys.self)
        add = CodePoints(try values.decode(String.self, forKey: .add))
        strip = CodePoints(try values.decode(String.self, forKey: .strip))
        after = try values.decode([String].self, forKey: .after).map { CodePoints($0) }
        notAfter = try values.decode([String].self, forKey: .not_after).map { CodePoints($0) }
        leastFrequency = try values.decode(Int.self, forKey: .least_frequency)
        leastLetters = try values.decode(Int.self, forKey: .least_letters)
        isOffered = try values.decode(Bool.self, forKey: .is_offered)
    }

    /// The word that a folded one is a form of, if it is one; whether that is a word is asked elsewhere.
    func base(_ word: CodePoints) -> CodePoints? {
        guard word.hasSuffix(add), word.count > add.count else { return nil }
        let base = word.dropLast(add.count) + strip
        guard base.count >= leastLetters, after.isEmpty || after.contains(where: base.hasSuffix) else { return nil }
        return notAfter.contains(where: base.hasSuffix) ? nil : base
    }
}

/// Says of letters whether they are a word: listed, learned from the writer, or a form of such.
///
/// What is no word can be typed and learned; it is never offered, and neither are forms that only a rule has made.
/// `keyboard_lm/words/known_words.py` is the law.
package final class KnownWords {
    private let lexicon: Lexicon
    private let forms: [FormRule]
    private let units: Set<CodePoints>
    private let isLearned: (CodePoints) -> Bool
    private let listed: Memo<CodePoints, Bool>
    private let formed: Memo<CodePoints, Bool>
    private let offered: Memo<CodePoints, Bool>

    /// - Parameters:
    ///   - lexicon: the listed ones; a misspelling that it lists is none, whatever a rule says.
    ///   - forms: how more are made of them.
    ///   - units: what may stand behind a number without a space ("pm", "th").
    ///   - isLearned: of a word: whether the writer has taught it.
    package convenience init(
        _ lexicon: Lexicon, forms: [FormRule] = [], units: Set<CodePoints> = [], isLearned: @escaping (CodePoints) -> Bool = { _ in false }
    ) {
        self.init(lexicon, forms, units, isLearned, Memo(most: 4096), Memo(most: 4096), Memo(most: 4096))
    }

    private init(
        _ lexicon: Lexicon, _ forms: [FormRule], _ units: Set<CodePoints>, _ isLearned: @escaping (CodePoints) -> Bool,
        _ listed: Memo<CodePoints, Bool>, _ formed: Memo<CodePoints, Bool>, _ offered: Memo<CodePoints, Bool>
    ) {
        (self.lexicon, self.forms, self.units, self.isLearned) = (lexicon, forms, units, isLearned)
        (self.listed, self.formed, self.offered) = (listed, formed, offered)
    }

    /// The same for another writer; what is remembered of the lexicon is shared.
    package func another(isLearned: @escaping (CodePoints) -> Bool) -> KnownWords {
        KnownWords(lexicon, forms, units, isLearned, listed, formed, offered)
    }

    /// Whether each word of a text is one, in some case, or has no letters at all.
    package func isWord(_ text: CodePoints) -> Bool {
        if text.contains(0x20) { return text.words().allSatisfy(isWord) }
        return isListed(text) || isLearned(text)
    }

    /// Whether a text may be offered: each of its words is listed, learned, or a form that a rule offers.
    package func mayOffer(_ text: CodePoints) -> Bool {
        if text.contains(0x20) { return text.words().allSatisfy(mayOffer) }
        return mayOfferToAll(text) || isLearned(text)
    }

    /// Whether letters are a word cased as they are, or with a capital or capitals throughout.
    package func isKnown(_ word: CodePoints) -> Bool {
        if lexicon.isKnown(word) { return true }
        return lexicon.entries(of: word).isEmpty && (isForm(word) || isLengthened(word))
    }

    /// A word with the capitals it has in the lists where it is in none of them as it stands ("i").
    package func cased(_ text: CodePoints) -> CodePoints {
        if lexicon.isKnown(text) { return text }
        let entries = lexicon.entries(of: text)
        guard let best = entries.min(by: { (-lexicon.frequency(of: $0), $0) < (-lexicon.frequency(of: $1), $1) }) else { return text }
        return lexicon.text(best)
    }

    /// Whether a word, in any case, is what people write for another.
    package func isMiswritten(_ word: CodePoints) -> Bool { lexicon.isMiswritten(word) }

    /// The frequency of a listed word, or of the word that a form is made of; 0 where there is none.
    package func frequency(_ word: CodePoints) -> Int {
        let listed = lexicon.frequency(word)
        if listed > 0 { return listed }
        let folded = Case.fold(word)
        var bases = forms.compactMap { $0.base(folded) }
        bases = bases.filter { !$0.isEmpty } + shortened(folded)
        return bases.map(lexicon.frequency).max() ?? 0
    }

    /// The logarithm of a word's frequency, relative to the highest there can be.
    package func logFrequency(_ word: CodePoints, natsPerStep: Double) -> Double {
        Double(frequency(word) - Lexicon.maxFrequency) * natsPerStep
    }

    // "nooo", "yesss": letters drawn out for emphasis, three of them or more.
    private func isLengthened(_ word: CodePoints) -> Bool {
        guard Self.isDrawnOut(word) else { return false }
        return Self.times.contains { lexicon.isKnown(Self.shortened(Case.fold(word), to: $0)) }
    }

    private func shortened(_ folded: CodePoints) -> [CodePoints] {
        Self.isDrawnOut(folded) ? Self.times.map { Self.shortened(folded, to: $0) } : []
    }

    private func isListed(_ word: CodePoints) -> Bool {
        listed.value(word) { findListed(word, forOffers: false) }
    }

    private func mayOfferToAll(_ word: CodePoints) -> Bool {
        offered.value(word) { findListed(word, forOffers: true) }
    }

    private func findListed(_ word: CodePoints, forOffers: Bool) -> Bool {
        let letters = word.values.filter(CharacterClass.isAlpha)
        if letters.isEmpty { return true }
        if letters.count != word.count {
            let number = word.prefix(word.count - word.values.reversed().prefix { letters.contains($0) }.count)
            if let first = number.first, let last = number.last, CharacterClass.isDigit(last) {
                return CharacterClass.isDigit(first) && units.contains(Case.fold(word.suffix(from: number.count)))
            }
        }
        return isOffered(word) || (forOffers ? findForm(word, forOffers: true) : isForm(word))
    }

    private func isOffered(_ word: CodePoints) -> Bool {
        lexicon.entries(of: word).contains { !lexicon.isMarkedMiswritten($0) }
    }

    private func isForm(_ word: CodePoints) -> Bool {
        formed.value(word) { findForm(word, forOffers: false) }
    }

    private func findForm(_ word: CodePoints, forOffers: Bool) -> Bool {
        let folded = Case.fold(word), hyphen: UInt32 = 0x2D
        if lexicon.isMiswritten(folded) { return false }
        let inner = folded.values.drop { $0 == hyphen }
        if inner.prefix(inner.count - inner.reversed().prefix { $0 == hyphen }.count).contains(hyphen) {
            let parts = folded.values.split(separator: hyphen, omittingEmptySubsequences: false)
            return parts.allSatisfy { forOffers ? mayOfferToAll(CodePoints($0)) : isListed(CodePoints($0)) }
        }
        return forms.contains { rule in
            guard rule.isOffered || !forOffers, let base = rule.base(folded), isOffered(base) else { return false }
            return lexicon.frequency(base) >= rule.leastFrequency
        }
    }

    // MARK: Drawn-out letters

    private static let times = [1, 2]  // how often a letter that is drawn out belongs there

    private static func isDrawnOut(_ word: CodePoints) -> Bool { shortened(word, to: 2) != word }

    // The word with each letter that stands three times or more in a row as often as `times` says.
    private static func shortened(_ word: CodePoints, to times: Int) -> CodePoints {
        var short = CodePoints()
        var place = 0
        while place < word.count {
            var end = place + 1
            while end < word.count, word[end] == word[place] { end += 1 }
            let isLetter = CharacterClass.isAlphanumeric(word[place]) && !CharacterClass.isDecimal(word[place])
            let kept = end - place > 2 && isLetter ? times : end - place
            short.values += [UInt32](repeating: word[place], count: kept)
            place = end
        }
        return short
    }
}
