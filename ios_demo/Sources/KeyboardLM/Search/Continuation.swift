/// When to show ghost text.
package struct InlineOptions: Sendable {
    /// Least probability of all of it.
    package var threshold = 0.65
    package var maxWords = 5
    /// Shorter ghosts are not worth a glance.
    package var minCharacters = 3

    package init() {}
}

/// The most probable words after whole words; `keyboard_lm/decoding/inline.py` is the law.
package enum Continuation {
    /// Returns words of one piece, each with its probability, the most probable first.
    ///
    /// - Parameters:
    ///   - path: the pieces of the whole words behind the boundary.
    ///   - least: where no word can be as probable, there may be none in the answer.
    /// - Returns: nil where the network would have to be asked and may not be, or the path is too long for a call.
    package static func words(
        _ table: PieceTable, _ boundary: Boundary, _ path: Path, maxNodes: Int, numWords: Int = 1, least: Double = 0
    ) throws -> [(text: CodePoints, probability: Double)]? {
        if !boundary.isKnown(path) {
            guard path.count <= maxNodes, try boundary.expand([path]) else { return nil }
        }
        let ends = table.ends, shares = ends.masses(boundary.probabilities(path), ends.ids.indices, begins: true)
        if (shares.max() ?? 0) * Double(ends.largestGroup) < least { return [] }
        var best: [(mass: Double, group: Int)] = []  // the best so far, of equal ones the first, best first
        for group in 0..<ends.groupStarts.count - 1 where ends.areWords[ends.groupStarts[group]] {
            var mass = 0.0
            for place in ends.groupStarts[group]..<ends.groupStarts[group + 1] { mass += shares[place] }
            guard mass > 0, best.count < numWords || mass > best[best.count - 1].mass else { continue }
            best.insert((mass, group), at: best.firstIndex { $0.mass < mass } ?? best.count)
            if best.count > numWords { best.removeLast() }
        }
        return best.map { mass, group in
            let variants = ends.groupStarts[group]..<ends.groupStarts[group + 1]
            let likeliest = variants.min { (-shares[$0], ends.texts[$0]) < (-shares[$1], ends.texts[$1]) }
            return (ends.texts[likeliest ?? variants.lowerBound], mass)
        }
    }
}
