/// A text field as the predictor sees it.
package struct TypedText: Equatable, Sendable {
    /// Form tokens of each finished line, oldest first; the last entry is the line being typed.
    package var messages: [[CodePoints]]
    /// The word under the cursor as typed (not true-cased), empty between words.
    package var partial: CodePoints
    /// Whether the word under the cursor, or the next one, takes a sentence capital.
    package var startsSentence: Bool
    /// Whether white space (or nothing) stands before the word under the cursor or the cursor itself.
    package var spaceBefore: Bool
}

/// Converts between typed text and the keyboard text form (`docs/text.md`): space-separated tokens whose ends are visible.
package final class TextForm {
    package enum Kind: Sendable { case word, dotted, punctuation, emoji, emoticon }

    package let properNouns: Set<CodePoints>
    private var heads: [CodePoints: (tokens: [CodePoints], starts: Bool)] = [:]
    private var last: (text: CodePoints, typed: TypedText)

    /// - Parameter properNouns: words, as cased inside a sentence ("Mary"), that keep their capital at a sentence start.
    package init(properNouns: [CodePoints] = []) {
        self.properNouns = Set(properNouns)
        last = ("", TypedText(messages: [[]], partial: "", startsSentence: true, spaceBefore: true))
    }

    /// Returns the form of one message (a line break counts as a space).
    package func encode(_ message: CodePoints) -> CodePoints {
        var line = Normaliser.normalise(message)
        for index in line.values.indices where line.values[index] == 0x0A { line.values[index] = 0x20 }
        return CodePoints.joined(encodeTokens(line), by: 0x20)
    }

    /// Returns the form tokens of one message that `Normaliser.normalise` has already seen.
    package func encodeTokens(_ message: CodePoints) -> [CodePoints] { encodeMarked(message).map(\.token) }

    // Each form token, and whether a word in its place starts a sentence. One token is held back: the mark for a missing
    // or extra space before a word sits on the punctuation in front of that word.
    private func encodeMarked(_ message: CodePoints) -> [(token: CodePoints, starts: Bool)] {
        var encoded: [(token: CodePoints, starts: Bool)] = []
        var spacing = Spacing(), sentence = SentenceCase()
        var held: (token: CodePoints, starts: Bool)?
        var heldIsWord = false
        var end = 0
        var scanner = Scanner(message)
        while let match = scanner.next() {
            let token = message[match.range]
            var text = token
            let isLetters = match.kind == .word && Self.letterEmoticons.contains(token)
            let isPlainWord = match.kind == .word && !isLetters
            let isWord = isPlainWord || match.kind == .dotted
            let isPunctuation = match.kind == .punctuation
            let spaced = match.range.lowerBound > end
            end = match.range.upperBound
            let starts = sentence.starts(spaced: spaced)
            if starts && isPlainWord { text = lowerSentenceStart(token) }
            let byDefault = spacing.spaceBefore(token, isPunctuation: isPunctuation)
            if var before = held {
                if spaced != byDefault {
                    let mark = spaced ? CharacterClass.space : CharacterClass.join
                    if isWord && !heldIsWord {
                        before.token = before.token + mark
                    } else {
                        text = CodePoints(mark) + text
                    }
                }
                encoded.append(before)
            }
            sentence.feed(token, isPunctuation: isPunctuation, isWord: isWord)
            held = (text, starts)
            heldIsWord = isWord
        }
        if let held { encoded.append(held) }
        return encoded
    }

    package func lowerSentenceStart(_ word: CodePoints) -> CodePoints {
        guard let first = word.first, CharacterClass.isUpper(first), !Self.firstPerson.contains(word),
            !properNouns.contains(word)
        else { return word }
        let rest = word.suffix(from: 1), lowered = CharacterClass.lower(first)
        guard CharacterClass.isLowered(rest), lowered.count == 1, CharacterClass.upper(lowered[0]) == CodePoints(first)
        else { return word }
        let small = lowered + rest
        return CharacterClass.isNFC(small) ? small : word
    }

    // The inverse: a word that would not come back as it is ("i", "mary") was typed without its capital.
    private func raiseSentenceStart(_ word: CodePoints) -> CodePoints {
        let raised = Self.capitalise(word)
        return lowerSentenceStart(raised) == word ? raised : word
    }

    /// Returns the text that a form stands for, with sentence capitals put back.
    package func decode(_ form: CodePoints) -> CodePoints { join(form.words()) }

    /// Returns the text of one message given its form tokens.
    package func join(_ tokens: [CodePoints]) -> CodePoints {
        var spacing = Spacing(), sentence = SentenceCase()
        var text = CodePoints()
        var isFirst = true
        var forced: UInt32?
        for marked in tokens {
            let (before, token, after) = Self.splitMarks(marked)
            if token.isEmpty { continue }
            let kind = Self.kind(of: token)
            let byDefault = spacing.spaceBefore(token, isPunctuation: kind == .punctuation)
            let mark = forced ?? before
            let spaced = mark.map { $0 == CharacterClass.space } ?? byDefault
            if !isFirst && spaced { text.values.append(0x20) }
            text += kind == .word && sentence.starts(spaced: spaced) ? raiseSentenceStart(token) : token
            sentence.feed(token, isPunctuation: kind == .punctuation, isWord: kind == .word || kind == .dotted)
            forced = after
            isFirst = false
        }
        return text
    }

    /// Splits the text before the cursor into finished form tokens and the word being typed.
    ///
    /// The finished tokens are those of the whole line when its last word ends where the cursor is, marks included.
    package func splitTyped(_ text: CodePoints) -> TypedText {
        if text == last.text { return last.typed }
        var typed: TypedText
        if isLetterMore(text) {
            typed = last.typed
            typed.partial = typed.partial + text[text.count - 1]
        } else {
            typed = split(text)
        }
        last = (text, typed)
        return typed
    }

    /// Returns whether a word that comes next, behind white space or nothing, starts a sentence.
    package func startsSentence(after text: CodePoints) -> Bool { split(text).startsSentence }

    private func split(_ text: CodePoints) -> TypedText {
        let lines = Normaliser.split(text, isLineBreak: CharacterClass.isLineBreak)
        var messages: [[CodePoints]] = []
        for line in lines.dropLast() {
            let normal = Normaliser.normalise(line)
            if !normal.isEmpty { messages.append(encodeTokens(normal)) }
        }
        let raw = Normaliser.straightened(lines[lines.count - 1])
        let line = Normaliser.normalise(raw)
        let endsBlank = line.isEmpty || CharacterClass.isSpace(raw[raw.count - 1])
        let partial = endsBlank ? CodePoints() : Self.lastWord(line)
        let head = line.prefix(line.count - partial.count)
        var (finished, starts) = endsBefore(partial.isEmpty ? head + 0x20 : head)
        if partial.isEmpty && !endsBlank { finished = encodeTokens(head) }
        let spaceBefore = partial.isEmpty ? endsBlank : head.isEmpty || head.last == 0x20
        return TypedText(messages: messages + [finished], partial: partial, startsSentence: starts, spaceBefore: spaceBefore)
    }

    // The form tokens before a word that begins behind `head`, and whether it starts a sentence. From one letter of a word
    // to the next that stays as it is.
    private func endsBefore(_ head: CodePoints) -> ([CodePoints], Bool) {
        if let known = heads[head] { return known }
        let encoded = encodeMarked(head + 0x78)
        let known = (tokens: encoded.dropLast().map(\.token), starts: encoded[encoded.count - 1].starts)
        if heads.count >= Self.maxHeads { heads.removeAll(keepingCapacity: true) }
        heads[head] = known
        return known
    }

    // Whether a plain letter was added to a word of two plain letters or more: which makes nothing else of the word (some
    // emoticons have two letters side by side, none has three), nor of what stands before it.
    private func isLetterMore(_ text: CodePoints) -> Bool {
        let word = last.typed.partial
        guard word.count > 1, text.count == last.text.count + 1, let letter = text.last,
            CharacterClass.isASCIILetter(letter)
        else { return false }
        return word.values.allSatisfy(CharacterClass.isASCIILetter) && text.hasPrefix(last.text)
    }

    // The word that reaches the end of `line`, with an apostrophe that a letter may still follow; or "".
    private static func lastWord(_ line: CodePoints) -> CodePoints {
        var scanner = Scanner(line)
        var before: Scanner.Token?, last: Scanner.Token?
        while let token = scanner.next() { (before, last) = (last, token) }
        guard let last else { return "" }
        if last.kind == .word {
            let word = line[last.range]
            return letterEmoticons.contains(word) ? "" : word
        }
        if let before, line[last.range] == "'", before.kind == .word {
            return before.range.upperBound == last.range.lowerBound ? line.suffix(from: before.range.lowerBound) : ""
        }
        return ""
    }

    /// Returns a word with the capital that a keyboard gives to the first word of a sentence.
    ///
    /// Words with a capital inside ("iPhone") and letters whose capital is not one character stay as they are.
    package static func capitalise(_ word: CodePoints) -> CodePoints {
        guard let first = word.first, CharacterClass.isLowered(word) else { return word }
        let upper = CharacterClass.upper(first)
        guard upper.count == 1, CharacterClass.lower(upper[0]) == CodePoints(first) else { return word }
        let raised = upper + word.suffix(from: 1)
        return CharacterClass.isNFC(raised) ? raised : word
    }

    /// Returns what a form token without its marks is.
    package static func kind(of token: CodePoints) -> Kind {
        guard !token.isEmpty, let match = Scanner(token).token(at: 0) else { return .punctuation }
        switch match.kind {
        case .emoji: return .emoji
        case .emoticon: return .emoticon
        case .dotted: return .dotted
        case .word: return .word
        case .punctuation: return .punctuation
        }
    }

    /// Returns whether a text is exactly one form token of the kind `word`.
    package static func isWord(_ text: CodePoints) -> Bool {
        if letterEmoticons.contains(text) || text.isEmpty { return false }
        if text.values.allSatisfy(CharacterClass.isAlpha) { return true }
        guard let match = Scanner(text).token(at: 0) else { return false }
        return match.kind == .word && match.range.upperBound == text.count
    }

    /// Returns whether every character may stand inside a word, an apostrophe or a decimal point included.
    package static func isWordPart(_ text: CodePoints) -> Bool {
        guard !text.isEmpty else { return false }
        func mayStand(_ c: UInt32) -> Bool { CharacterClass.isWord(c) || c == 0x27 || c == 0x2E || c == 0x2C || c == 0x3A }
        return text.values.allSatisfy(mayStand) || text.values.allSatisfy(CharacterClass.isAlpha)  // U+2E2F is a letter
    }

    /// Splits a form token into the mark before it, the token, and the mark after it.
    package static func splitMarks(_ marked: CodePoints) -> (UInt32?, CodePoints, UInt32?) {
        func isMark(_ c: UInt32) -> Bool { c == CharacterClass.join || c == CharacterClass.space }
        let before = marked.first.flatMap { isMark($0) ? $0 : nil }
        let token = before == nil ? marked : marked.suffix(from: 1)
        let after = token.last.flatMap { isMark($0) ? $0 : nil }
        return (before, after == nil ? token : token.dropLast(), after)
    }

    private static let letterEmoticons: Set<CodePoints> = ["xD", "XD"]
    private static let firstPerson: Set<CodePoints> = ["I", "I'm", "I've", "I'll", "I'd"]
    private static let maxHeads = 8
}

/// The default space between two tokens, from their classes and the open quotes.
private struct Spacing {
    private var gluedRight = false
    private var open: Set<UInt32> = []

    mutating func spaceBefore(_ token: CodePoints, isPunctuation: Bool) -> Bool {
        var left = false, right = false
        if isPunctuation, let first = token.first {
            if Marks.closers.contains(first) {
                left = true
            } else if Marks.openers.contains(first) {
                right = true
            } else if Marks.glue.contains(first) {
                (left, right) = (true, true)
            } else if Marks.quotes.contains(first) {
                if open.remove(first) != nil {
                    left = true
                } else {
                    open.insert(first)
                    right = true
                }
            }
        }
        defer { gluedRight = right }
        return !(left || gluedRight)
    }
}

/// Whether the next word is the first of a sentence.
private struct SentenceCase {
    private var starts = true
    private var afterEnd = false

    /// Whether a word here takes the capital; in `example.com` the second one does not.
    func starts(spaced: Bool) -> Bool { starts && (spaced || !afterEnd) }

    mutating func feed(_ token: CodePoints, isPunctuation: Bool, isWord: Bool) {
        afterEnd = false
        if isWord {
            starts = false
        } else if isPunctuation, let first = token.first, let last = token.last {
            if Marks.sentenceEnds.contains(last) && !token.hasPrefix("..") {
                (starts, afterEnd) = (true, true)
            } else if !Marks.quotes.contains(first) && !Marks.openers.contains(first) && !Marks.brackets.contains(first) {
                starts = false
            }
        }
    }
}

private enum Marks {
    static let closers = set(".,!?;:)]}%\u{2026}\u{B0}\u{2122}\u{AE}\u{3001}\u{3002}\u{FF0C}\u{FF01}\u{FF1F}")
    static let openers = set("([{#@$\u{A3}\u{20AC}\u{BF}\u{A1}")
    static let glue = set("-/_\\\u{2010}\u{2011}\u{2013}\u{2014}")
    static let quotes = set("\"'`")
    static let brackets = set(")]}")
    static let sentenceEnds = set(".!?\u{203D}\u{2026}\u{3002}\u{FF01}\u{FF1F}")

    private static func set(_ text: String) -> Set<UInt32> { Set(text.unicodeScalars.map(\.value)) }
}
