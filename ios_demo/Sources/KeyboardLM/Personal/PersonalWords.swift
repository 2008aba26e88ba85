/// A form token as personalisation sees it; `keyboard_lm/personal/words.py` is the law.
struct PersonalToken: Equatable {
    /// The folded word; empty where there is none to learn.
    var key: CodePoints = ""
    /// The word as written.
    var text: CodePoints = ""
    /// Whether it is an emoji or an emoticon, which nobody mistypes.
    var isSymbol = false
    /// Whether it is punctuation.
    var isMark = false
    var endsSentence = false

    init() {}

    /// Classifies any text; what is not one form token is nothing to learn.
    init(of token: CodePoints, _ form: TextForm) {
        let isPlain = token.values.allSatisfy { 0x21...0x7E ~= $0 }
        let text = isPlain ? token : Normaliser.normalise(token)
        if TextForm.isWord(text) {
            let numDigits = text.values.count(where: CharacterClass.isDigit)
            if text.count <= Self.maxLength && numDigits <= Self.maxDigits {
                let folded = Case.fold(text)
                (key, self.text) = (folded == text ? text : folded, text)  // one copy of the characters
            }
            return
        }
        let parts = form.encodeTokens(CodePoints("x ") + text).dropFirst()  // in mid-sentence, where capitals stay
        guard parts.count == 1, let part = parts.first, part.contains(text), text.count <= Self.maxLength else { return }
        let kind = TextForm.kind(of: text)
        if kind == .punctuation {
            isMark = true
            endsSentence = text.last.map(Self.sentenceEnds.contains) == true && !text.hasPrefix("..")
        } else {
            (key, self.text, isSymbol) = (Case.fold(text), text, kind != .dotted)
        }
    }

    private static let maxLength = 48
    private static let maxDigits = 3  // words with more are PINs, codes, and numbers of cards and phones
    private static let sentenceEnds: Set<UInt32> = Set(".!?‽…。！？".unicodeScalars.map(\.value))
}

/// Which words of a text stand before one; tokens once classified are remembered.
final class PersonalWords {
    /// The beginning of a sentence, as a word of a context; no word looks like it.
    static let start: CodePoints = "<s>"
    private static let historyLength = 2
    private let form = TextForm()
    private let known = Memo<CodePoints, PersonalToken>(most: 4096)

    func token(_ text: CodePoints) -> PersonalToken { known.value(text) { PersonalToken(of: text, form) } }

    /// The folded form under which a word is kept.
    func key(of word: CodePoints) -> CodePoints {
        let key = token(word).key
        return key.isEmpty ? Case.fold(Normaliser.normalise(word)) : key
    }

    /// The last words before the cursor, folded, `start` where the sentence begins.
    ///
    /// Punctuation inside a sentence is passed over. A word that is not known, or that is not to be learned, hides what is
    /// before it.
    func history(_ tokens: some BidirectionalCollection<CodePoints>, isKnown: (CodePoints) -> Bool = { _ in true }) -> [CodePoints] {
        var keys: [CodePoints] = []
        for text in tokens.reversed() {
            let token = self.token(text)
            if !token.key.isEmpty && isKnown(token.key) {
                keys.append(token.key)
                if keys.count == Self.historyLength { return keys.reversed() }
            } else if token.endsSentence {
                keys.append(Self.start)
                return keys.reversed()
            } else if !token.isMark {
                return keys.reversed()
            }
        }
        keys.append(Self.start)
        return keys.reversed()
    }

    /// The contexts that a history gives, the longest first, each with the order of the n-grams that begin with it.
    static func contexts(_ keys: [CodePoints]) -> [(order: Int, key: CodePoints)] {
        (1...keys.count + 1).reversed().map { order in
            (order, CodePoints.joined(Array(keys[(keys.count - order + 1)...]), by: 0x20))
        }
    }
}

extension CodePoints {
    /// Whether another text is somewhere in this one.
    package func contains(_ other: CodePoints) -> Bool {
        guard other.count <= count else { return false }
        return (0...count - other.count).contains { values[$0..<$0 + other.count].elementsEqual(other.values) }
    }
}
