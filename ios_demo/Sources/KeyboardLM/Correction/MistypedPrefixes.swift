extension CandidateSearch {
    private static let wordsEach = 2  // of one beginning

    /// Words that begin with what may have been meant by the letters of a word that goes on, from the distribution at the
    /// boundary: each with its probability given the context and the logarithm of that of the letters given its beginning.
    ///
    /// Only words of one piece are looked at, so the network is not asked.
    package func mistypedCompletions(
        _ table: PieceTable, _ boundary: Boundary, _ typed: CodePoints, _ taps: [Tap?], numPrefixes: Int
    ) -> [(text: CodePoints, probability: Double, logLikelihood: Double)] {
        let ends = table.ends, given = boundary.probabilities()
        var words: [(text: CodePoints, probability: Double, logLikelihood: Double)] = []
        for (prefix, logLikelihood) in prefixes(typed, taps, count: numPrefixes) {
            let span = ends.starting(with: prefix)
            for (place, mass) in ends.best(Self.wordsEach, given, span) where mass > 0 {
                let text = ends.texts[place]
                if !text.isEmpty { words.append((text, Double(mass), logLikelihood)) }
            }
        }
        return words
    }
}
