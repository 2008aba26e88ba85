/// Brings typed text into the shape that the text form is made from.
package enum Normaliser {
    /// Returns a text in NFC, with straight quotes, single spaces, and without control characters.
    ///
    /// Line breaks survive as one `\n` each (they separate messages); blank lines are dropped.
    package static func normalise(_ text: CodePoints) -> CodePoints {
        let plain = CharacterClass.nfc(straightened(text))
        var lines: [CodePoints] = []
        for line in split(plain, isLineBreak: CharacterClass.isLineBreak) {
            let words = line.words()
            if !words.isEmpty { lines.append(CodePoints.joined(words, by: 0x20)) }
        }
        return CodePoints.joined(lines, by: 0x0A)
    }

    /// Returns a text without control characters and with straight quotes.
    package static func straightened(_ text: CodePoints) -> CodePoints {
        var plain = CodePoints()
        plain.values.reserveCapacity(text.count)
        for c in text.values where !CharacterClass.isControl(c) {
            switch c {
            case 0x2018, 0x2019, 0x201A, 0x201B, 0x2032, 0x02BC, 0xFF07: plain.values.append(0x27)
            case 0x201C, 0x201D, 0x201E, 0x201F, 0x2033, 0xFF02: plain.values.append(0x22)
            case CharacterClass.metaSpace: plain.values.append(0x5F)
            case CharacterClass.join, CharacterClass.space, 0xAD, 0xFEFF, 0x200B: break
            default: plain.values.append(c)
            }
        }
        return plain
    }

    /// Returns the parts between runs of line breaks; as Python's `re.split`, with an empty part at either end.
    package static func split(_ text: CodePoints, isLineBreak: (UInt32) -> Bool) -> [CodePoints] {
        var parts: [CodePoints] = []
        var part = CodePoints()
        var isInBreak = false
        for c in text.values {
            if isLineBreak(c) {
                if !isInBreak {
                    parts.append(part)
                    part = CodePoints()
                }
                isInBreak = true
            } else {
                part.values.append(c)
                isInBreak = false
            }
        }
        parts.append(part)
        return parts
    }
}
