/// A word that a path may have meant.
package struct SwipeCandidate: Equatable, Sendable {
    /// Its number in the lexicon.
    package let entry: Int
    /// As cased in the lexicon.
    package let text: CodePoints
    /// Logarithm of P(path | word), but for a constant.
    package let logLikelihood: Double
    /// 0 or below, relative to the highest frequency there can be.
    package let logFrequency: Double
}

/// From a path to the words it may have meant, without regard to the context. `keyboard_lm/swipe/decoder.py` is the law.
///
/// What it needs of the lexicon is arranged when it is made. To be used from one queue, as the lexicon is.
package final class SwipeDecoder {
    private static let hopeless: Float = 60  // nats of the best word: the path is none of a word, and nothing is found

    private let layout: Layout
    private let beam: PathBeam
    private let emissions: Emissions
    private let doubles: Doubles

    package init(
        _ lexicon: Lexicon, _ layout: Layout, model: PathModel = PathModel(), rests: RestModel = RestModel(),
        beam options: PathBeamOptions = PathBeamOptions()
    ) {
        self.layout = layout
        beam = PathBeam(KeyTrie(lexicon, layout), options)
        emissions = Emissions(layout, beam.trie.keys, model)
        doubles = Doubles(model: rests, x: emissions.x, y: emissions.y)
    }

    /// The words that a path may have meant, most promising first; never offensive ones.
    ///
    /// - Throws: `KeyboardLMError` where no finger can have drawn it.
    package func find(_ points: [PathPoint]) throws -> [SwipeCandidate] {
        let track = try Track(points, on: layout)
        let found = beam.find(emissions.evidence(of: track))
        guard let least = found.map(\.cost).min(), least <= Self.hopeless else { return [] }
        let trie = beam.trie, shares = doubles.shares(track)
        return found.map { each in
            var log = Double(-each.cost)
            let doubled = trie.doubled(each.word)
            if !doubled.isEmpty { log += doubles.logRatio(shares, doubled, numLetters: Int(trie.depth[each.node])) }
            let entry = Int(trie.entries[each.word])
            let logFrequency = Double(beam.logFrequency(each.word))
            return SwipeCandidate(
                entry: entry, text: trie.lexicon.text(entry), logLikelihood: log, logFrequency: logFrequency)
        }
    }
}
