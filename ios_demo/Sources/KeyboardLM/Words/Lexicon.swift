import Foundation

/// A word of a lexicon.
package struct Entry: Equatable, Sendable {
    /// As cased inside a sentence.
    package let text: CodePoints
    /// 0 to 255, on a log scale; 0 for words that are known and never offered.
    package let frequency: UInt8
    package let isOffensive: Bool
    /// Whether it is no word but what people write for one ("im", "alot").
    package let isMiswritten: Bool

    package init(_ text: CodePoints, frequency: UInt8, isOffensive: Bool = false, isMiswritten: Bool = false) {
        (self.text, self.frequency) = (text, frequency)
        (self.isOffensive, self.isMiswritten) = (isOffensive, isMiswritten)
    }

    var flags: UInt8 {
        (isOffensive ? Lexicon.offensive : 0) | (frequency == 0 ? Lexicon.hidden : 0) | (isMiswritten ? Lexicon.miswritten : 0)
    }
}

/// The words of a language as a trie in flat arrays that stay in their file: what is known, how frequent it is, what is not to
/// be suggested. `keyboard_lm/words/lexicon.py` is the law.
///
/// Nodes are numbered breadth first, so that the children of a node lie side by side, behind those of the node before it. To be
/// used from one queue: what was asked about is remembered.
package final class Lexicon {
    package static let root = 0
    package static let maxFrequency = 255
    static let offensive: UInt8 = 1, hidden: UInt8 = 2, miswritten: UInt8 = 4  // bits of an entry's flags

    /// The letters of words, folded; a letter's number is its place plus 1, 0 stands for the root.
    package let alphabet: [UInt32]
    let file: LexiconFile
    private let numberOfASCII: [UInt8]
    private let numberOfOther: [UInt32: UInt8]
    private let texts = Memo<Int, CodePoints>(most: 4096)
    private let knowledge = Memo<CodePoints, Bool>(most: 2048)

    package var count: Int { file.numEntries }

    /// Opens a `lexicon.bin`, which stays mapped.
    ///
    /// - Throws: `KeyboardLMError` where the file is missing, damaged, or of another format.
    package convenience init(file: URL) throws {
        try self.init(MappedFile(file), name: file.path)
    }

    package init(_ data: MappedFile, name: String) throws {
        file = try LexiconFile(data, name: name)
        let file = self.file
        alphabet = (0..<file.numLetters).map { file.alphabet[$0] }
        var ascii = [UInt8](repeating: 0, count: 128), other: [UInt32: UInt8] = [:]
        for (place, letter) in alphabet.enumerated() {
            if letter < 128 { ascii[Int(letter)] = UInt8(place + 1) } else { other[letter] = UInt8(place + 1) }
        }
        (numberOfASCII, numberOfOther) = (ascii, other)
    }

    /// Whether letters are a word as they are cased, or with a sentence's capital, or in capitals throughout.
    package func isKnown(_ word: CodePoints) -> Bool {
        knowledge.value(word) {
            entries(of: word).contains { entry in
                guard file.flags[entry] & Self.miswritten == 0 else { return false }
                let text = self.text(entry)
                return text == word || Case.upper(text.prefix(1)) + text.suffix(from: 1) == word || Case.upper(text) == word
            }
        }
    }

    /// The frequency (0 to 255, log scale) of a word in whichever case has the highest; 0 if it is not known.
    package func frequency(_ word: CodePoints) -> Int { entries(of: word).map(frequency(of:)).max() ?? 0 }

    /// Whether a word must not be offered, in any case but that of another word ("John" may be).
    package func isOffensive(_ word: CodePoints) -> Bool {
        var offensive: [CodePoints] = [], harmless: [CodePoints] = []
        for entry in entries(of: word) {
            if file.flags[entry] & Self.offensive != 0 { offensive.append(text(entry)) } else { harmless.append(text(entry)) }
        }
        if offensive.contains(word) { return true }
        if harmless.contains(word) { return false }
        return !offensive.isEmpty && harmless.allSatisfy { Case.upper($0) != word }
    }

    /// Whether a word, in any case, is what people write for another.
    package func isMiswritten(_ word: CodePoints) -> Bool { entries(of: word).contains(where: isMarkedMiswritten) }

    package func isMarkedMiswritten(_ entry: Int) -> Bool { file.flags[entry] & Self.miswritten != 0 }
    package func frequency(of entry: Int) -> Int { Int(file.frequencies[entry]) }
    package func isOffered(_ entry: Int) -> Bool { file.flags[entry] == 0 }

    /// The node that folded letters lead to; nil where no word begins with them.
    package func node(of folded: CodePoints) -> Int? {
        var node = Self.root
        for letter in folded.values {
            let number = number(of: letter)
            guard number > 0, let child = child(of: node, number) else { return nil }
            node = child
        }
        return node
    }

    /// The child of a node by the number of a letter.
    func child(of node: Int, _ number: UInt8) -> Int? {
        var child = Int(file.firstChild[node])
        let end = Int(file.firstChild[node + 1])
        while child < end {
            if file.letters[child] == number { return child }
            child += 1
        }
        return nil
    }

    func children(of node: Int) -> Range<Int> { Int(file.firstChild[node])..<Int(file.firstChild[node + 1]) }
    func entries(at node: Int) -> Range<Int> { Int(file.firstEntry[node])..<Int(file.firstEntry[node + 1]) }

    /// The numbers of the entries that differ from a word in case at most.
    package func entries(of word: CodePoints) -> Range<Int> { node(of: Case.fold(word)).map(entries(at:)) ?? 0..<0 }

    /// The folded letters on the way to a node.
    package func prefix(_ node: Int) -> CodePoints {
        var reversed: [UInt32] = []
        var node = node
        while node != Self.root {
            reversed.append(alphabet[Int(file.letters[node]) - 1])
            node = Self.lastPlace(file.firstChild, file.numNodes, upTo: node)  // its parent
        }
        return CodePoints(reversed.reversed())
    }

    /// The word of an entry, as cased.
    package func text(_ entry: Int) -> CodePoints {
        texts.value(entry) {
            var text = prefix(Self.lastPlace(file.firstEntry, file.numNodes, upTo: entry))
            guard let capitals = capitals(of: entry) else { return text }
            for place in text.values.indices where capitals >> UInt64(place) & 1 == 1 {
                let upper = CharacterClass.upper(text[place])
                if upper.count == 1 { text.values[place] = upper[0] }
            }
            return text
        }
    }

    /// The number of a letter; 0 for those that no word has.
    func number(of letter: UInt32) -> UInt8 { letter < 128 ? numberOfASCII[Int(letter)] : numberOfOther[letter] ?? 0 }

    private func capitals(of entry: Int) -> UInt64? {
        var low = 0, high = file.numCased
        while low < high {
            let middle = (low + high) / 2
            if file.casedEntries[middle] < entry { low = middle + 1 } else { high = middle }
        }
        return low < file.numCased && file.casedEntries[low] == entry ? file.capitals[low] : nil
    }

    // The last of the first `count` places whose value is at most a number.
    private static func lastPlace(_ values: UnsafePointer<UInt32>, _ count: Int, upTo number: Int) -> Int {
        var low = 0, high = count
        while low < high {
            let middle = (low + high) / 2
            if values[middle] <= number { low = middle + 1 } else { high = middle }
        }
        return max(low - 1, 0)
    }
}
