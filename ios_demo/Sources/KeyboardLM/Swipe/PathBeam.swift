import Foundation

/// How far to look. `keyboard_lm/swipe/beam.py` is the law, and says what each figure is.
package struct PathBeamOptions: Sendable {
    package var numNodes = 400, numWords = 100
    package var margin: Float = 16, natsPerStep = log(1.15), frequencyWeight: Float = 0.8
    package var unfinished: Float = 6, unfinishedKey: Float = 0.3

    package init() {}
}

/// The words that a path may have meant, by elastic matching along a trie, one letter after the other.
///
/// A hypothesis is a node and, for every point of the path, the least cost at which the node's last letter was meant there.
/// The next letter is meant at the same point or a later one, and the path between the two pays for leaving the straight way
/// from key to key; since that is a difference of two sums, one running minimum finds the best point before each.
struct PathBeam {
    /// A word of a path: the node where the path ends, the word's place in the trie's entries, what the path costs then.
    struct Found {
        let node, word: Int
        let cost: Float
    }

    private struct Hypotheses {
        var nodes: [Int]
        var costs: [Float]  // those of a node side by side, (N, T)
    }

    private static let slack = 4, childrenPerNode = 4, tie: Float = 1 / 1024

    let trie: KeyTrie
    let options: PathBeamOptions
    private let promise: [Float]  // of each node, negative

    init(_ trie: KeyTrie, _ options: PathBeamOptions) {
        (self.trie, self.options) = (trie, options)
        promise = trie.bestWord.map { word in
            let frequency = word < 0 ? 0 : trie.lexicon.frequency(of: Int(trie.entries[Int(word)]))
            return Self.logFrequency(frequency, options) * options.frequencyWeight
        }
    }

    func logFrequency(_ word: Int) -> Float {
        Self.logFrequency(trie.lexicon.frequency(of: Int(trie.entries[word])), options)
    }

    private static func logFrequency(_ frequency: Int, _ options: PathBeamOptions) -> Float {
        Float(Double(frequency - Lexicon.maxFrequency) * options.natsPerStep)
    }

    /// The words that a path may have meant, the most probable first, frequency included.
    func find(_ evidence: PathEvidence) -> [Found] {
        let num = evidence.numPoints
        var now = Hypotheses(nodes: Array(trie.children(of: KeyTrie.root)), costs: [])
        for node in now.nodes { now.costs += evidence.first[Int(trie.key[node]) * num..<(Int(trie.key[node]) + 1) * num] }
        var bestWord = Float.infinity
        var ends: [(node: Int, cost: Float)] = []
        while !now.nodes.isEmpty {
            let ranks = now.nodes.indices.map { least(now.costs, $0, evidence.rest) - promise[now.nodes[$0]] }
            now = picked(now, Self.lowest(ranks, options.numNodes, bestWord + options.margin), num)
            for (place, node) in now.nodes.enumerated() {
                let last = Int(trie.key[node]) * num
                var final = Float.infinity
                for point in 0..<num { final = min(final, now.costs[place * num + point] + evidence.last[last + point]) }
                ends.append((node, final))
                if !trie.words(at: node).isEmpty { bestWord = min(bestWord, final - promise[node]) }
            }
            now = further(now, evidence, bestWord + options.margin)
        }
        return words(ends)
    }

    private func least(_ costs: [Float], _ place: Int, _ rest: [Float]) -> Float {
        var least = Float.infinity
        for point in rest.indices { least = min(least, costs[place * rest.count + point] + rest[point]) }
        return least
    }

    private func picked(_ all: Hypotheses, _ places: [Int], _ num: Int) -> Hypotheses {
        var found = Hypotheses(nodes: places.map { all.nodes[$0] }, costs: [])
        found.costs.reserveCapacity(places.count * num)
        for place in places { found.costs += all.costs[place * num..<(place + 1) * num] }
        return found
    }

    /// The children that are worth a look, with what they cost.
    private func further(_ now: Hypotheses, _ evidence: PathEvidence, _ most: Float) -> Hypotheses {
        let num = evidence.numPoints
        var parents: [Int] = [], children: [Int] = [], bounds: [Float] = []
        for (place, node) in now.nodes.enumerated() {
            // What a child costs at least, nearly: its parent's best, and its own letter at the best point from there on.
            let least = least(now.costs, place, evidence.rest), tied = least + Self.tie
            let at = (0..<num).first { now.costs[place * num + $0] + evidence.rest[$0] <= tied } ?? 0
            let point = max(at - Self.slack, 0)
            for child in trie.children(of: node) {
                parents.append(place)
                children.append(child)
                bounds.append(least + evidence.later[Int(trie.key[child]) * num + point] - promise[child])
            }
        }
        let hopeful = Self.lowest(bounds, Self.childrenPerNode * options.numNodes, most)
        let numKeys = trie.keys.count
        let costs = [Float](unsafeUninitializedCapacity: hopeful.count * num) { into, count in
            for (place, each) in hopeful.enumerated() {
                let parent = parents[each], key = Int(trie.key[children[each]])
                let way = (Int(trie.key[now.nodes[parent]]) * numKeys + key) * num
                var best = Float.infinity
                for point in 0..<num {
                    let up = evidence.way[way + point]
                    best = min(best, now.costs[parent * num + point] - up)
                    into[place * num + point] = best + up + evidence.letter[key * num + point]
                }
            }
            count = hopeful.count * num
        }
        return Hypotheses(nodes: hopeful.map { children[$0] }, costs: costs)
    }

    private func words(_ ends: [(node: Int, cost: Float)]) -> [Found] {
        var found: [Found] = []
        for end in ends { found += trie.words(at: end.node).map { Found(node: end.node, word: $0, cost: end.cost) } }
        // And the most frequent word below each node, for a finger that was lifted too early.
        for end in ends where trie.keysToBest[end.node] > 0 {
            let more = options.unfinished + Float(trie.keysToBest[end.node]) * options.unfinishedKey
            found.append(Found(node: end.node, word: Int(trie.bestWord[end.node]), cost: end.cost + more))
        }
        let ranks = found.map { Self.coarse($0.cost - options.frequencyWeight * logFrequency($0.word)) }
        let order = ranks.indices.sorted { (ranks[$0], $0) < (ranks[$1], $1) }
        var seen: Set<Int> = [], kept: [Found] = []
        for place in order.prefix(3 * options.numWords) where seen.insert(found[place].word).inserted {
            kept.append(found[place])
            if kept.count == options.numWords { break }
        }
        return kept
    }

    // Where the lowest values under a bound are, in ascending order of places.
    private static func lowest(_ ranks: [Float], _ num: Int, _ most: Float) -> [Int] {
        let kept = ranks.indices.filter { ranks[$0] < most }
        guard kept.count > num else { return kept }
        return bestPlaces(kept.map { -coarse(ranks[$0]) }, num).map { kept[$0] }
    }

    // The words along a straight way cost the same but for the order in which their costs were summed.
    private static func coarse(_ rank: Float) -> Float { (rank / tie).rounded(.toNearestOrEven) }
}
