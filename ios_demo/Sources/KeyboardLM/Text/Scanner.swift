/// Cuts a normalised message into tokens of the text form.
///
/// By hand and not by a regular expression: classes of characters differ between engines, and this has to agree with the
/// Python engine's `keyboard_lm/text/form.py` on every string.
package struct Scanner {
    package enum Kind: Sendable { case emoji, emoticon, dotted, word, punctuation }

    package struct Token: Sendable {
        package let kind: Kind
        package let range: Range<Int>
    }

    private let text: [UInt32]
    private var position = 0

    package init(_ text: CodePoints) { self.text = text.values }

    /// Returns the next token, or nil at the end.
    package mutating func next() -> Token? {
        while position < text.count, CharacterClass.isSpace(text[position]) { position += 1 }
        guard position < text.count, let token = token(at: position) else { return nil }
        position = token.range.upperBound
        return token
    }

    /// Returns the token that begins at an offset; nil for white space.
    package func token(at start: Int) -> Token? {
        if let end = emoji(start) { return Token(kind: .emoji, range: start..<end) }
        if let end = emoticon(start) { return Token(kind: .emoticon, range: start..<end) }
        if let end = dotted(start) { return Token(kind: .dotted, range: start..<end) }
        if let end = word(start) { return Token(kind: .word, range: start..<end) }
        if let end = punctuation(start) { return Token(kind: .punctuation, range: start..<end) }
        return nil
    }

    private func at(_ index: Int) -> UInt32? { index < text.count ? text[index] : nil }

    private func run(_ start: Int, _ belongs: (UInt32) -> Bool) -> Int {
        var end = start
        while end < text.count, belongs(text[end]) { end += 1 }
        return end
    }

    private func emoji(_ start: Int) -> Int? {
        let c = text[start]
        if c < 0x80 {
            guard (0x30...0x39).contains(c) || c == 0x23 || c == 0x2A else { return nil }  // key caps
            let mark = at(start + 1) == 0xFE0F ? start + 2 : start + 1
            return at(mark) == 0x20E3 ? mark + 1 : nil
        }
        if isFlagLetter(c), let next = at(start + 1), isFlagLetter(next) { return start + 2 }
        if isSign(c), at(start + 1) == 0xFE0F { return start + 2 }
        guard CharacterClass.isPictograph(c) else { return nil }
        var end = start + 1
        while let next = at(end) {
            if next == 0xFE0E || next == 0xFE0F || (0x1F3FB...0x1F3FF).contains(next) || (0xE0020...0xE007F).contains(next) {
                end += 1
            } else if next == 0x200D, let joined = at(end + 1),
                CharacterClass.isPictograph(joined) || (0x2194...0x2199).contains(joined)
            {
                end += 2
            } else {
                break
            }
        }
        return end
    }

    private func isFlagLetter(_ c: UInt32) -> Bool { (0x1F1E6...0x1F1FF).contains(c) }

    private func isSign(_ c: UInt32) -> Bool {
        switch c {
        case 0xA9, 0xAE, 0x203C, 0x2049, 0x2122, 0x2139, 0x2194...0x21AA, 0x24C2, 0x2934, 0x2935, 0x3030, 0x303D,
            0x3297, 0x3299:
            return true
        default: return false
        }
    }

    private func emoticon(_ start: Int) -> Int? {
        if start > 0, !CharacterClass.isSpace(text[start - 1]) { return nil }
        guard text[start] < 0x80 else { return nil }
        for end in emoticonEnds(start) {
            guard let next = at(end) else { return end }
            if CharacterClass.isSpace(next) || Self.afterEmoticon.contains(next) { return end }
        }
        return nil
    }

    // Every end that one of the alternatives can have, in the order in which they are tried.
    private func emoticonEnds(_ start: Int) -> [Int] {
        var ends: [Int] = []
        let first = text[start], second = at(start + 1)
        if Self.eyes.contains(first) {
            if let nose = second, Self.noses.contains(nose), let mouth = at(start + 2), Self.mouths.contains(mouth) {
                ends.append(start + 3)
            }
            if let mouth = second, Self.mouths.contains(mouth) { ends.append(start + 2) }
        }
        if first == 0x3C {  // <3, </3
            if second == 0x2F, at(start + 2) == 0x33 { ends.append(start + 3) }
            if second == 0x33 { ends.append(start + 2) }
        }
        if first == 0x78 || first == 0x58, second == 0x44 { ends.append(start + 2) }  // xD
        if first == 0x5E || first == 0x2D {  // ^_^, -_-
            let end = run(start + 1) { $0 == 0x5F }
            if end > start + 1, at(end) == first { ends.append(end + 1) }
        }
        if let third = at(start + 2), second == 0x5F {  // T_T, o_O
            let isTears = (first == 0x54 || first == 0x74) && (third == 0x54 || third == 0x74)
            let isEyes = (first == 0x6F || first == 0x4F) && (third == 0x6F || third == 0x4F)
            if isTears || isEyes { ends.append(start + 3) }
        }
        return ends
    }

    private func dotted(_ start: Int) -> Int? {
        if start > 0, CharacterClass.isAlphanumeric(text[start - 1]) { return nil }
        var end = start
        while let letter = at(end), CharacterClass.isAlphanumeric(letter), !CharacterClass.isDecimal(letter),
            at(end + 1) == 0x2E
        {
            end += 2
        }
        return end - start >= 4 ? end : nil
    }

    private func word(_ start: Int) -> Int? {
        var end = run(start, CharacterClass.isWord)
        guard end > start else { return nil }
        while let mark = at(end), let next = at(end + 1), CharacterClass.isWord(next) {
            let isDecimalMark = mark == 0x2E || mark == 0x2C || mark == 0x3A
            let isInNumber = isDecimalMark && CharacterClass.isDecimal(text[end - 1]) && CharacterClass.isDecimal(next)
            guard mark == 0x27 || isInNumber else { break }
            end = run(end + 1, CharacterClass.isWord)
        }
        return end
    }

    private func punctuation(_ start: Int) -> Int? {
        let c = text[start]
        guard !CharacterClass.isSpace(c) else { return nil }
        switch c {
        case 0x2E, 0x2D:  // two or more points, dashes
            let end = run(start) { $0 == c }
            return end - start >= 2 ? end : start + 1
        case 0x21, 0x3F: return run(start) { $0 == 0x21 || $0 == 0x3F }
        case 0x2A, 0x5F, 0x3D, 0x7E: return run(start) { $0 == c }
        default: return start + 1
        }
    }

    private static let eyes = Set(":;=".unicodeScalars.map(\.value))
    private static let noses = Set("'^o-".unicodeScalars.map(\.value))
    private static let mouths = Set(")(][DPpOo/\\|*3S".unicodeScalars.map(\.value))
    private static let afterEmoticon = Set(".,!?".unicodeScalars.map(\.value))
}
