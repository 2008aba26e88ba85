import Foundation

/// A lexicon's words by the keys that a finger passes: a trie without apostrophes, accents and doubled letters.
///
/// Words whose keys are the same, once a key that follows itself is one, end at the same node: "to" and "too", "well" and
/// "we'll". Nodes are numbered breadth first, the children of a node side by side. `keyboard_lm/swipe/key_trie.py` is the law.
package final class KeyTrie {
    static let root = 0
    private static let mostKeys = 32  // of a word; longer ones are typed
    private static let free: Set<UInt32> = [0x27, 0x2D, 0x2E]  // ' - . are in the word and not on the way

    package let lexicon: Lexicon
    /// Characters of the keys, numbered from 0.
    package let keys: [UInt32]
    /// On the edge to each node; 0 at the root.
    let key: [UInt8]
    /// The children of node n are `firstChild[n]` to `firstChild[n + 1]`.
    let firstChild: [Int32]
    /// Its words, as places in `entries`.
    let firstWord: [Int32]
    /// Numbers of the lexicon's entries.
    let entries: [Int32]
    let parents: [Int32]
    let depth: [UInt8]
    /// The first of the most frequent words at or below a node.
    let bestWord: [Int32]
    /// How many keys it is further on than the node.
    let keysToBest: [UInt8]
    private let numberOfLetter: [UInt32: UInt8]  // the number of a letter's key plus 1; 0 where it is free

    package var count: Int { entries.count }

    package init(_ lexicon: Lexicon, _ layout: Layout) {
        self.lexicon = lexicon
        keys = layout.rows.flatMap { row in row.keys.joined().unicodeScalars.map(\.value) }
        let numbers = Self.numbers(lexicon.alphabet, keys)
        numberOfLetter = numbers
        var draft = Draft()
        draft.fill(from: lexicon, numbers: lexicon.alphabet.map { numbers[$0] })
        (key, parents, depth, firstChild) = draft.arranged()
        (firstWord, entries) = draft.words(numNodes: key.count)
        (bestWord, keysToBest) = Self.best(lexicon, firstWord: firstWord, entries: entries, parents, depth)
    }

    func children(of node: Int) -> Range<Int> { Int(firstChild[node])..<Int(firstChild[node + 1]) }
    func words(at node: Int) -> Range<Int> { Int(firstWord[node])..<Int(firstWord[node + 1]) }

    /// The keys that a word, a place in `entries`, has twice in a row.
    func doubled(_ word: Int) -> [Int] {
        let letters = Case.fold(lexicon.text(Int(entries[word]))).values
        let passed = letters.compactMap { numberOfLetter[$0] }.filter { $0 > 0 }
        return zip(passed, passed.dropFirst()).filter { $0 == $1 }.map { Int($0.0) - 1 }
    }

    // Of each letter that can be swiped: 0 where it is free, its key's number plus 1 where it has one.
    private static func numbers(_ alphabet: [UInt32], _ keys: [UInt32]) -> [UInt32: UInt8] {
        var numberOfKey: [UInt32: UInt8] = [:], found: [UInt32: UInt8] = [:]
        for (place, key) in keys.enumerated() { numberOfKey[key] = UInt8(place + 1) }
        for letter in alphabet {
            let base = CodePoints(letter).string.decomposedStringWithCanonicalMapping.unicodeScalars.first?.value
            if free.contains(letter) {
                found[letter] = 0
            } else if let number = numberOfKey[letter] ?? base.flatMap({ numberOfKey[$0] }) {
                found[letter] = number
            }
        }
        return found
    }

    private static func best(
        _ lexicon: Lexicon, firstWord: [Int32], entries: [Int32], _ parents: [Int32], _ depth: [UInt8]
    ) -> (word: [Int32], keys: [UInt8]) {
        let numNodes = parents.count
        var word = [Int32](repeating: -1, count: numNodes), keys = [UInt8](repeating: 0, count: numNodes)
        func isBetter(_ one: Int32, than other: Int32) -> Bool {  // of equal frequencies the first
            guard other >= 0 else { return true }
            let (a, b) = (lexicon.frequency(of: Int(entries[Int(one)])), lexicon.frequency(of: Int(entries[Int(other)])))
            return a > b || (a == b && one < other)
        }
        var end = [Int32](repeating: 0, count: numNodes)  // the best word's node
        for node in (0..<numNodes).reversed() {
            for place in firstWord[node]..<firstWord[node + 1] where isBetter(place, than: word[node]) {
                (word[node], end[node]) = (place, Int32(node))
            }
            guard word[node] >= 0 else { continue }
            keys[node] = depth[Int(end[node])] - depth[node]
            let parent = Int(parents[node])
            if node != root, isBetter(word[node], than: word[parent]) { (word[parent], end[parent]) = (word[node], end[node]) }
        }
        return (word, keys)
    }

    /// A trie whose nodes are numbered as they were met, and lead to words or not.
    private struct Draft {
        var key: [UInt8] = [0], parents: [Int32] = [0], firstChild: [Int32] = [-1], nextSibling: [Int32] = [-1]
        var depth: [UInt8] = [0], isUsed: [Bool] = [true]
        var ends: [(node: Int32, entry: Int32)] = []
        var number: [Int32] = []  // of each node, once they are arranged

        mutating func fill(from lexicon: Lexicon, numbers: [UInt8?]) {
            let file = lexicon.file
            var nodeOf = [Int32](repeating: -1, count: file.numNodes)  // of each of the lexicon's
            nodeOf[Lexicon.root] = 0
            for node in 0..<file.numNodes where nodeOf[node] >= 0 {
                let own = nodeOf[node]
                if own > 0 {
                    for entry in lexicon.entries(at: node) where lexicon.isOffered(entry) && lexicon.frequency(of: entry) > 0 {
                        ends.append((own, Int32(entry)))
                    }
                }
                for child in lexicon.children(of: node) {
                    guard let number = numbers[Int(file.letters[child]) - 1] else { continue }
                    let stays = number == 0 || (own > 0 && number - 1 == key[Int(own)])
                    nodeOf[child] = stays ? own : self.child(of: own, number - 1)
                }
            }
        }

        private mutating func child(of node: Int32, _ number: UInt8) -> Int32 {
            var child = firstChild[Int(node)]
            while child >= 0 {
                if key[Int(child)] == number { return child }
                child = nextSibling[Int(child)]
            }
            guard depth[Int(node)] < KeyTrie.mostKeys else { return -1 }
            let made = Int32(key.count)
            key.append(number)
            parents.append(node)
            depth.append(depth[Int(node)] + 1)
            nextSibling.append(firstChild[Int(node)])
            firstChild.append(-1)
            isUsed.append(false)
            firstChild[Int(node)] = made
            return made
        }

        /// Numbers the nodes that lead to words breadth first, children by their keys.
        mutating func arranged() -> (key: [UInt8], parents: [Int32], depth: [UInt8], firstChild: [Int32]) {
            for end in ends { isUsed[Int(end.node)] = true }
            for node in key.indices.reversed() where isUsed[node] { isUsed[Int(parents[node])] = true }
            number = [Int32](repeating: -1, count: key.count)
            number[0] = 0
            var order: [Int32] = [0], firsts: [Int32] = [], at = 0
            while at < order.count {
                firsts.append(Int32(order.count))
                var children: [Int32] = []
                var child = firstChild[Int(order[at])]
                while child >= 0 {
                    if isUsed[Int(child)] { children.append(child) }
                    child = nextSibling[Int(child)]
                }
                for child in children.sorted(by: { key[Int($0)] < key[Int($1)] }) {
                    number[Int(child)] = Int32(order.count)
                    order.append(child)
                }
                at += 1
            }
            firsts.append(Int32(order.count))
            let (keys, above) = (order.map { key[Int($0)] }, order.map { number[Int(parents[Int($0)])] })
            return (keys, above, order.map { depth[Int($0)] }, firsts)
        }

        /// Words by their nodes; those of one node in the lexicon's order.
        func words(numNodes: Int) -> (first: [Int32], entries: [Int32]) {
            var first = [Int32](repeating: 0, count: numNodes + 1)
            for end in ends { first[Int(number[Int(end.node)]) + 1] += 1 }
            for node in 0..<numNodes { first[node + 1] += first[node] }
            var next = first, entries = [Int32](repeating: 0, count: ends.count)
            for end in ends {
                let node = Int(number[Int(end.node)])
                entries[Int(next[node])] = end.entry
                next[node] += 1
            }
            return (first, entries)
        }
    }
}
