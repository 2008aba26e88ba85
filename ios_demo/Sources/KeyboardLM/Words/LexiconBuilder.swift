import Foundation

extension Lexicon {
    private static let mostWordLetters = 64  // its capitals are the bits of one integer

    /// Arranges words in a trie of its own, in memory, without a letter model.
    ///
    /// - Throws: `KeyboardLMError` where a word cannot be in a lexicon, or the words have too many letters together.
    package static func build(_ entries: [Entry]) throws -> Lexicon {
        try Lexicon(MappedFile(copying: bytes(entries)), name: "a lexicon of \(entries.count) words")
    }

    /// Whether a lexicon can hold a word: not empty, not too long, its capitals such as its small letters give back.
    package static func canHold(_ word: CodePoints) -> Bool {
        let folded = Case.fold(word)
        guard (1...mostWordLetters).contains(folded.count) else { return false }
        return zip(folded.values, word.values).allSatisfy { low, char in
            low == char || CharacterClass.upper(low) == CodePoints(char)
        }
    }

    /// The file of some words, as the Python package would write it.
    package static func bytes(_ entries: [Entry]) throws -> [UInt8] {
        let rows = entries.map { (folded: Case.fold($0.text), entry: $0) }.sorted {
            ($0.folded, $0.entry.text) < ($1.folded, $1.entry.text)
        }
        for row in rows where !canHold(row.entry.text) {
            throw KeyboardLMError("\"\(row.entry.text.string)\" cannot be in a lexicon; leave it out")
        }
        let alphabet = Set(rows.flatMap(\.folded.values)).sorted()
        guard alphabet.count <= LexiconFile.mostLetters else {
            throw KeyboardLMError("a lexicon has \(LexiconFile.mostLetters) letters at most, not \(alphabet.count)")
        }
        // Nodes as ranges of the sorted rows that begin alike, level by level.
        var level: [(rows: Range<Int>, length: Int)] = [(rows.indices, 0)]
        var letters: [UInt8] = [0], firstChild: [UInt32] = [], firstEntry: [UInt32] = []
        var order: [Entry] = []  // by node
        var children: [[Int]] = []
        var numbers: [UInt32: UInt8] = [:]
        for (place, letter) in alphabet.enumerated() { numbers[letter] = UInt8(place + 1) }
        var numNodes = 1
        while !level.isEmpty {
            var next: [(rows: Range<Int>, length: Int)] = []
            for (span, length) in level {
                firstEntry.append(UInt32(order.count))
                firstChild.append(UInt32(numNodes))
                let node = firstEntry.count - 1
                children.append([])
                var place = span.lowerBound
                while place < span.upperBound, rows[place].folded.count == length {
                    order.append(rows[place].entry)
                    place += 1
                }
                while place < span.upperBound {
                    let letter = rows[place].folded[length], first = place
                    while place < span.upperBound, rows[place].folded[length] == letter { place += 1 }
                    next.append((first..<place, length + 1))
                    children[node].append(numNodes)
                    letters.append(numbers[letter] ?? 0)
                    numNodes += 1
                }
            }
            level = next
        }
        firstChild.append(UInt32(numNodes))
        firstEntry.append(UInt32(order.count))
        var best = [UInt8](repeating: 0, count: numNodes)
        for node in (0..<numNodes).reversed() {
            let own = order[Int(firstEntry[node])..<Int(firstEntry[node + 1])].filter { $0.flags == 0 }.map(\.frequency)
            best[node] = (own + children[node].map { best[$0] }).max() ?? 0
        }
        let cased = order.enumerated().map { ($0, capitals($1.text)) }.filter { $0.1 != 0 }
        var body: [UInt8] = []
        func add<Value>(_ values: [Value]) {
            values.withUnsafeBytes { body += $0 }
            body += [UInt8](repeating: 0, count: LexiconFile.padded(body.count) - body.count)
        }
        add(alphabet)
        add(firstChild)
        add(firstEntry)
        add(cased.map { UInt32($0.0) })
        add(cased.map(\.1))
        add(letters)
        add(best)
        add(order.map(\.frequency))
        add(order.map(\.flags))
        return head([alphabet.count, numNodes, order.count, cased.count, 0], body)
    }

    private static func capitals(_ word: CodePoints) -> UInt64 {
        let folded = Case.fold(word)
        return word.values.indices.reduce(0) { word[$1] == folded[$1] ? $0 : $0 | 1 << UInt64($1) }
    }

    private static func head(_ counts: [Int], _ body: [UInt8]) -> [UInt8] {
        func bytes<Value>(_ values: [Value]) -> [UInt8] { values.withUnsafeBytes(Array.init) }
        let fields = LexiconFile.magic + bytes([LexiconFile.format] + counts.map { UInt32($0) })
        let content = fields + bytes([0, 0, UInt64(LexiconFile.alignment + body.count)])
        var file = content + [UInt8](repeating: 0, count: LexiconFile.alignment - content.count) + body
        seal(&file)
        return file
    }

    /// Writes the sums of a lexicon's bytes into them.
    package static func seal(_ file: inout [UInt8]) {
        let aligned = MappedFile(copying: file)
        let sums = LexiconFile.sums(aligned.bytes, aligned.count)
        for (place, sum) in sums.enumerated() {
            withUnsafeBytes(of: sum) { file.replaceSubrange(32 + 8 * place..<40 + 8 * place, with: $0) }
        }
    }
}
