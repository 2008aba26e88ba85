/// What the text around a cursor says: which word is there, and what space and case come next.
package enum TypingRules {
    package static func isApostrophe(_ c: UInt32) -> Bool { c == 0x27 || c == 0x2019 || c == 0x2BC || c == 0xFF07 }
    package static func isNumberMark(_ c: UInt32) -> Bool { c == 0x2E || c == 0x2C || c == 0x3A }

    /// Whether a character is one that words are made of, whatever is beside it.
    package static func isWordCharacter(_ c: UInt32) -> Bool {
        !isApostrophe(c) && !isNumberMark(c) && (CharacterClass.isWord(c) || CharacterClass.isAlpha(c))
    }

    /// Where the word around a cursor begins and ends; empty between words and in front of one.
    ///
    /// Words are those of the text form: apostrophes between letters belong to them, or right before the cursor, where a letter
    /// may follow; points, commas and colons between digits too.
    package static func wordSpan(_ text: CodePoints, _ cursor: Int) -> Range<Int> {
        var start = cursor, end = cursor
        while start > 0, isInWord(text, start - 1, cursor) { start -= 1 }
        while start < cursor, !Graphemes.isBreak(text, start) { start += 1 }  // marks on an emoji
        if start == cursor { return cursor..<cursor }
        while end < text.count, isInWord(text, end, cursor) { end += 1 }
        return text[start..<end].contains(0x20E3) ? cursor..<cursor : start..<end  // a key cap
    }

    private static func isInWord(_ text: CodePoints, _ index: Int, _ cursor: Int) -> Bool {
        let c = text[index]
        if isWordCharacter(c) { return true }
        guard index > 0, isApostrophe(c) || isNumberMark(c) else { return false }
        let left = text[index - 1], right = index + 1 < text.count ? text[index + 1] : nil
        if isApostrophe(c) {
            return isWordCharacter(left) && (index + 1 == cursor || right.map(isWordCharacter) == true)
        }
        return CharacterClass.isDecimal(left) && right.map(CharacterClass.isDecimal) == true
    }

    /// Where each word begins and ends that begins between two offsets (the first not being inside one).
    package static func words(_ text: CodePoints, _ start: Int, _ end: Int) -> [Range<Int>] {
        var found: [Range<Int>] = [], start = start
        while start < end {
            let span = wordSpan(text, start + 1)
            if !span.isEmpty { found.append(span) }
            start = max(span.upperBound, start + 1)
        }
        return found
    }

    /// The text before a cursor on its line, as far back as the rules look.
    package static func lineBefore(_ text: CodePoints, _ cursor: Int) -> CodePoints {
        var start = cursor
        while start > max(cursor - maxLine, 0), !CharacterClass.isLineBreak(text[start - 1]) { start -= 1 }
        return text[start..<cursor]
    }

    /// Whether a letter after a line gets the capital of a sentence.
    package static func startsSentence(_ line: CodePoints, _ form: TextForm) -> Bool {
        var tail = line.suffix(from: max(line.count - maxTail, 0))
        let isCut = tail.count == maxTail  // some word stands before it: before that nothing matters
        while let last = tail.last, opening.contains(last) { tail = tail.dropLast() }
        guard tail.last.map(CharacterClass.isSpace) ?? true else { return false }
        return form.startsSentence(after: isCut ? CodePoints("x") + tail : tail)
    }

    /// Whether the text form puts a space between the end of a line and a word that comes next.
    package static func needsSpace(_ line: CodePoints, _ form: TextForm) -> Bool {
        guard let last = line.last, !CharacterClass.isSpace(last) else { return false }
        let tokens = form.encodeTokens(Normaliser.normalise(line + 0x78))
        guard tokens.count > 1 else { return false }
        return tokens[tokens.count - 2].last == CharacterClass.join || tokens[tokens.count - 1].first == CharacterClass.join
    }

    /// Whether the text form puts no space between the word that a line ends in and a mark that comes next.
    package static func attaches(_ line: CodePoints, _ mark: CodePoints, _ form: TextForm) -> Bool {
        guard let first = mark.first, !isWordCharacter(first) else { return false }
        if isApostrophe(first) || closers.contains(first) { return true }
        let plain = Normaliser.normalise(mark)
        let tokens = form.encodeTokens(Normaliser.normalise(line + mark))
        guard !plain.isEmpty, let last = tokens.last else { return false }
        return last.hasSuffix(plain) && last.first != CharacterClass.join
    }

    private static let maxLine = 256
    private static let maxTail = 64
    private static let closers: Set<UInt32> = [0x060C, 0x061B, 0x061F, 0x06D4, 0x0964, 0x0965, 0x201D, 0xBB]
    private static let opening: Set<UInt32> = Set("([{\"'\u{2018}\u{201C}\u{AB}\u{BF}\u{A1}".unicodeScalars.map(\.value))
}
