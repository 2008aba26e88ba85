/// What is known of a word's probability after a context.
package struct Score: Sendable {
    /// Of the word; as long as that is not known, of its first piece, which it cannot exceed.
    package let probability: Double
    package let isExact: Bool
}

/// Scores given words by a network's boundary distributions; `keyboard_lm/decoding/word_scores.py` is the law.
///
/// A word of one piece is read from the distribution at the boundary; the pieces of longer ones are scored as one tree, in one
/// call of the network.
package final class WordScorer {
    private let tokenizer: Tokenizer
    private let maxNodes: Int
    private let paths = Memo<CodePoints, Path>(most: 8192)  // of words of one token
    private let pathsOfSeveral = Memo<[CodePoints], Path>(most: 1024)

    package init(_ tokenizer: Tokenizer, maxNodes: Int = 16) {
        (self.tokenizer, self.maxNodes) = (tokenizer, maxNodes)
    }

    /// What the distribution at the boundary says of each word, a word being form tokens one after another.
    ///
    /// What has been asked about other pieces is not looked at: the answer depends on context and words alone.
    package func look(_ boundary: Boundary, _ words: [[CodePoints]]) -> [Score] {
        let given = boundary.probabilities()
        return words.map { word in
            let path = self.path(word)
            guard let first = path.first else { return Score(probability: 0, isExact: false) }
            return Score(probability: Double(given[first]), isExact: path.count == 1)
        }
    }

    /// The same after calls of the network about the pieces of longer words.
    ///
    /// Calls that have been made before are not repeated but counted, so that the answer does not depend on them.
    /// - Parameters:
    ///   - words: the ones that matter most first.
    ///   - maxCalls: for words that would need more, or calls that are not allowed, the score is that of `look`.
    package func ask(_ boundary: Boundary, _ words: [[CodePoints]], maxCalls: Int = 1) throws -> [Score] {
        var scores = look(boundary, words)
        guard maxCalls > 0 else { return scores }
        var waiting = words.indices.map { ($0, path(words[$0])) }.filter { $0.1.count > 1 }
        for _ in 0..<maxCalls {
            var nodes: Set<Path> = []
            var batch: [(Int, Path)] = [], rest: [(Int, Path)] = []
            for (index, path) in waiting {
                let new = (1..<path.count).map { Array(path[..<$0]) }.filter { !nodes.contains($0) }
                if nodes.count + new.count <= maxNodes {
                    batch.append((index, path))
                    nodes.formUnion(new)
                } else {
                    rest.append((index, path))
                }
            }
            let unknown = batch.map { Array($0.1.dropLast()) }.filter { !boundary.isKnown($0) }
            if !unknown.isEmpty, try !boundary.expand(unknown) { break }
            for (index, path) in batch { scores[index] = Score(probability: probability(boundary, path), isExact: true) }
            waiting = rest
        }
        return scores
    }

    /// The pieces of form tokens.
    package func path(_ word: [CodePoints]) -> Path {
        word.count == 1
            ? paths.value(word[0]) { tokenizer.encode(word) } : pathsOfSeveral.value(word) { tokenizer.encode(word) }
    }

    private func probability(_ boundary: Boundary, _ path: Path) -> Double {
        var probability = 1.0
        for (depth, piece) in path.enumerated() { probability *= Double(boundary.probabilities(Array(path[..<depth]))[piece]) }
        return probability
    }
}
