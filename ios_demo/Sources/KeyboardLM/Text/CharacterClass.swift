/// What single code points are, with the meaning that Python's `str` and `re` give the words.
///
/// Over all code points that Unicode 14 knows Swift's properties agree with Python's, but for white space, where Python
/// counts the separators U+001C to U+001F.
package enum CharacterClass {
    package static let join: UInt32 = 0x2040
    package static let space: UInt32 = 0x2423
    package static let metaSpace: UInt32 = 0x2581

    /// `str.isspace`, and `\s`.
    package static func isSpace(_ c: UInt32) -> Bool {
        if c < 0x80 { return c == 0x20 || (0x09...0x0D).contains(c) || (0x1C...0x1F).contains(c) }
        return properties(c)?.isWhitespace ?? false
    }

    /// `str.isalpha`.
    package static func isAlpha(_ c: UInt32) -> Bool {
        if c < 0x80 { return isASCIILetter(c) }
        switch properties(c)?.generalCategory {
        case .uppercaseLetter, .lowercaseLetter, .titlecaseLetter, .modifierLetter, .otherLetter: return true
        default: return false
        }
    }

    /// `str.isdecimal`, and `\d`.
    package static func isDecimal(_ c: UInt32) -> Bool {
        if c < 0x80 { return (0x30...0x39).contains(c) }
        return properties(c)?.generalCategory == .decimalNumber
    }

    /// `str.isdigit`.
    package static func isDigit(_ c: UInt32) -> Bool {
        if c < 0x80 { return (0x30...0x39).contains(c) }
        switch properties(c)?.numericType {
        case .decimal, .digit: return true
        default: return false
        }
    }

    /// `str.isalnum`, which is `\w` without the underscore.
    package static func isAlphanumeric(_ c: UInt32) -> Bool {
        if c < 0x80 { return isASCIILetter(c) || (0x30...0x39).contains(c) }
        return isAlpha(c) || properties(c)?.numericType != nil
    }

    package static func isASCIILetter(_ c: UInt32) -> Bool { (0x41...0x5A).contains(c) || (0x61...0x7A).contains(c) }

    /// `str.isupper` of one character.
    package static func isUpper(_ c: UInt32) -> Bool {
        if c < 0x80 { return (0x41...0x5A).contains(c) }
        return properties(c)?.isUppercase ?? false
    }

    /// `str.lower` of one character, which may be several.
    package static func lower(_ c: UInt32) -> CodePoints {
        if c < 0x80 { return CodePoints((0x41...0x5A).contains(c) ? c + 32 : c) }
        return properties(c).map { CodePoints($0.lowercaseMapping) } ?? CodePoints(c)
    }

    /// `str.upper` of one character, which may be several.
    package static func upper(_ c: UInt32) -> CodePoints {
        if c < 0x80 { return CodePoints((0x61...0x7A).contains(c) ? c - 32 : c) }
        return properties(c).map { CodePoints($0.uppercaseMapping) } ?? CodePoints(c)
    }

    /// Whether a text is all in lower case: `text == text.lower()`.
    package static func isLowered(_ text: CodePoints) -> Bool {
        text.values.allSatisfy { c in
            if c < 0x80 { return !(0x41...0x5A).contains(c) }
            return lower(c) == CodePoints(c)
        }
    }

    /// `str.isupper` of a text: some letter with a case, and none that is small or a title letter.
    package static func isAllUpper(_ text: CodePoints) -> Bool {
        var hasCapital = false
        for c in text.values {
            if isUpper(c) {
                hasCapital = true
            } else if let found = properties(c), found.isLowercase || found.generalCategory == .titlecaseLetter {
                return false
            }
        }
        return hasCapital
    }

    package static func generalCategory(_ c: UInt32) -> Unicode.GeneralCategory {
        properties(c)?.generalCategory ?? .surrogate
    }

    /// White space that ends a line.
    package static func isLineBreak(_ c: UInt32) -> Bool {
        (0x0A...0x0D).contains(c) || (0x1C...0x1E).contains(c) || c == 0x85 || c == 0x2028 || c == 0x2029
    }

    /// Control and invisible formatting characters, lone surrogates: no text of a message.
    package static func isControl(_ c: UInt32) -> Bool {
        switch c {
        case 0x00...0x08, 0x0E...0x1B, 0x7F...0x84, 0x86...0x9F, 0x061C, 0x200E, 0x200F, 0x202A...0x202E,
            0x2060...0x206F, 0xFFF9...0xFFFB, 0xD800...0xDFFF:
            return true
        default: return false
        }
    }

    /// Punctuation of the text form: neither white space nor part of a word.
    package static func isPunctuation(_ c: UInt32) -> Bool {
        switch c {
        case 0x21...0x2F, 0x3A...0x40, 0x5B...0x60, 0x7B...0x7E,
            0xA1...0xA9, 0xAB, 0xAC, 0xAE...0xB1, 0xB4, 0xB6...0xB8, 0xBB, 0xBF, 0xD7, 0xF7,
            0x055A...0x055F, 0x0589, 0x058A, 0x05BE, 0x05C0, 0x05C3, 0x05F3, 0x05F4,
            0x060C, 0x060D, 0x061B, 0x061D...0x061F, 0x066A...0x066D, 0x06D4, 0x0964, 0x0965,
            0x2010...0x2027, 0x2030...0x205E, 0x20A0...0x20CF, 0x2122, 0x2190...0x22FF, 0x2423, 0x2E00...0x2E7F,
            0x3001...0x3003, 0x3008...0x3020, 0x3030, 0x303D, 0x30FB, 0xFF01...0xFF0F, 0xFF1A...0xFF20,
            0xFF3B...0xFF40, 0xFF5B...0xFF65:
            return true
        default: return false
        }
    }

    package static func isPictograph(_ c: UInt32) -> Bool {
        switch c {
        case 0x2300...0x23FF, 0x25A0...0x27BF, 0x2B00...0x2BFF, 0x1F000...0x1FAFF: return true
        default: return false
        }
    }

    /// A character that words of the text form are made of.
    package static func isWord(_ c: UInt32) -> Bool {
        if c < 0x80 { return isASCIILetter(c) || (0x30...0x39).contains(c) || (c < 0x20 && !isSpace(c)) || c == 0x7F }
        return !isPunctuation(c) && !isPictograph(c) && !isSpace(c)
    }

    /// Whether a text is in Unicode's normalization form C.
    package static func isNFC(_ text: CodePoints) -> Bool { text.isASCII || nfc(text) == text }

    /// A text in Unicode's normalization form C.
    package static func nfc(_ text: CodePoints) -> CodePoints {
        if text.isASCII { return text }
        var composition = Composition()
        return CodePoints(composition.compose(text.values))
    }

    private static func properties(_ c: UInt32) -> Unicode.Scalar.Properties? { Unicode.Scalar(c)?.properties }
}
