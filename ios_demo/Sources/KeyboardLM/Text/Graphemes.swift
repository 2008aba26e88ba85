/// Where the characters that a reader sees begin: what one press of backspace deletes.
///
/// The Python engine's rules (`keyboard_lm/text/graphemes.py`), so that both delete the same; what the phone itself would
/// delete is counted in Swift's `Character`s and checked afterwards.
package enum Graphemes {
    /// Returns whether a cluster begins at an offset (or the text ends there).
    package static func isBreak(_ text: CodePoints, _ index: Int) -> Bool {
        guard index > 0, index < text.count else { return true }
        let (before, after) = (text[index - 1], text[index])
        if after < 0x300 && before < 0x300 { return !(before == 0x0D && after == 0x0A) }
        if isControl(before) || isControl(after) { return true }
        if extends(after) || prepends(before) { return false }
        if before == joiner && isPictograph(after) {
            var base = index - 2
            while base > 0, text[base] != joiner, extends(text[base]) { base -= 1 }
            return base < 0 || !isPictograph(text[base])
        }
        if isFlagLetter(before) && isFlagLetter(after) {
            var first = index
            while first > 0, isFlagLetter(text[first - 1]) { first -= 1 }
            return (index - first) % 2 == 0
        }
        return !isOneSyllable(before, after)
    }

    /// Returns where the cluster begins that ends at an offset, whatever comes after; 0 at the beginning.
    package static func clusterStart(_ text: CodePoints, _ end: Int) -> Int {
        var start = max(end - 1, 0)
        while !isBreak(text, start) { start -= 1 }
        return start
    }

    private static let joiner: UInt32 = 0x200D

    private static func isControl(_ c: UInt32) -> Bool {
        switch CharacterClass.generalCategory(c) {
        case .control, .format, .surrogate, .lineSeparator, .paragraphSeparator: return !(isExtender(c) || prepends(c))
        default: return false
        }
    }

    private static func extends(_ c: UInt32) -> Bool {
        switch CharacterClass.generalCategory(c) {
        case .nonspacingMark, .spacingMark, .enclosingMark: return true
        default: return isExtender(c)
        }
    }

    private static func isExtender(_ c: UInt32) -> Bool {
        switch c {
        case 0x200C, 0x200D, 0x0E33, 0x0EB3, 0xFF9E, 0xFF9F, 0x1F3FB...0x1F3FF, 0xE0020...0xE007F: return true
        default: return false
        }
    }

    private static func prepends(_ c: UInt32) -> Bool {
        switch c {
        case 0x0600...0x0605, 0x06DD, 0x070F, 0x0890, 0x0891, 0x08E2, 0x0D4E, 0x110BD, 0x110CD: return true
        default: return false
        }
    }

    private static func isPictograph(_ c: UInt32) -> Bool {
        switch c {
        case 0xA9, 0xAE, 0x203C, 0x2049, 0x2122, 0x2139, 0x2194...0x21AA, 0x2300...0x23FF, 0x24C2, 0x25A0...0x27BF,
            0x2934, 0x2935, 0x2B00...0x2BFF, 0x3030, 0x303D, 0x3297, 0x3299, 0x1F000...0x1F1E5, 0x1F200...0x1F3FA,
            0x1F400...0x1FAFF, 0x1FC00...0x1FFFD:
            return true
        default: return false
        }
    }

    private static func isFlagLetter(_ c: UInt32) -> Bool { (0x1F1E6...0x1F1FF).contains(c) }

    // Hangul: leading consonants, vowels, trailing consonants; precomposed syllables end in a vowel or a consonant.
    private static func isOneSyllable(_ before: UInt32, _ after: UInt32) -> Bool {
        func isLeading(_ c: UInt32) -> Bool { (0x1100...0x115F).contains(c) || (0xA960...0xA97C).contains(c) }
        func isVowel(_ c: UInt32) -> Bool { (0x1160...0x11A7).contains(c) || (0xD7B0...0xD7C6).contains(c) }
        func isTrailing(_ c: UInt32) -> Bool { (0x11A8...0x11FF).contains(c) || (0xD7CB...0xD7FB).contains(c) }
        let syllable = (0xAC00...0xD7A3).contains(before)
        if isLeading(before) { return isVowel(after) || (0xAC00...0xD7A3).contains(after) || isLeading(after) }
        if isVowel(before) || (syllable && (before - 0xAC00) % 28 == 0) { return isVowel(after) || isTrailing(after) }
        return (syllable || isTrailing(before)) && isTrailing(after)
    }
}
