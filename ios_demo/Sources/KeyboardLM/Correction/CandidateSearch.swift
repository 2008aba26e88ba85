/// How far to look; `keyboard_lm/correction/candidates.py` says what each is.
package struct CandidateOptions: Equatable, Sendable {
    /// Most candidates.
    package var numWords = 24
    /// Words are left out whose logarithm is this much below that of the letters taken at their word.
    package var margin = 18.0
    /// Most hypotheses after each letter.
    package var beam = 400
    /// What one step of the lexicon's frequency scale is worth.
    package var natsPerStep = 0.093
    /// How much of a word's frequency counts in choosing candidates; the context has its say later.
    package var frequencyWeight = 0.9

    package init() {}
}

/// Finds the words that somebody may have meant, the most probable first, without regard to the context.
///
/// A beam search through the lexicon's trie, one typed letter after the other; `keyboard_lm/correction/candidates.py` is the
/// law. The last few beginnings are remembered, so that one letter more costs one step more.
package final class CandidateSearch {
    /// A letter typed, and where.
    private struct Key: Hashable {
        let letter: UInt32
        let x, y: Double
        let hasTap: Bool

        init(_ letter: UInt32, _ tap: Tap?) {
            (self.letter, x, y, hasTap) = (letter, tap?.x ?? 0, tap?.y ?? 0, tap != nil)
        }

        var tap: Tap? { hasTap ? Tap(x: x, y: y) : nil }
    }

    /// The hypotheses after some letters, and what was made of them so far.
    private final class Step {
        let beam: Beam
        /// What the channel says of the last letter; nil before the first.
        let last: LetterEvidence?
        var longer: [Key: Step] = [:]
        var words: [Candidate]?
        var beginnings: [Int: [(prefix: CodePoints, logLikelihood: Double)]] = [:]

        init(_ beam: Beam, _ last: LetterEvidence?) { (self.beam, self.last) = (beam, last) }
    }

    package let lexicon: Lexicon
    package let channel: Channel
    package let options: CandidateOptions
    private let logOf: [Float]  // of a frequency
    private let promiseOf: [Float]
    private let margin: Float
    private let maxSteps: Int
    private var numSteps = 0
    private var begun = Step(Beam(), nil)

    /// - Parameters:
    ///   - channel: over the lexicon's alphabet.
    ///   - numRemembered: letters of beginnings that are remembered, some 4 KB each.
    package init(_ lexicon: Lexicon, _ channel: Channel, _ options: CandidateOptions = CandidateOptions(), numRemembered: Int = 384) {
        (self.lexicon, self.channel, self.options, maxSteps) = (lexicon, channel, options, numRemembered)
        margin = Float(-options.margin)
        logOf = (0...Lexicon.maxFrequency).map { Float($0 - Lexicon.maxFrequency) * Float(options.natsPerStep) }
        promiseOf = logOf.map { $0 * Float(options.frequencyWeight) }
        begun = Step(withOmissions(Beam(node: Lexicon.root, log: 0)), nil)
    }

    /// Drops the beginnings that are remembered.
    package func forget() {
        begun.longer.removeAll()
        numSteps = 0
    }

    /// The words that may have been meant by letters or taps, most promising first; never offensive ones.
    ///
    /// - Parameters:
    ///   - typed: the letters of a finished word; case is ignored.
    ///   - taps: one for each letter, or none.
    package func find(_ typed: CodePoints, _ taps: [Tap?] = []) -> [Candidate] {
        if typed.isEmpty { return [] }
        let step = after(Case.fold(typed), taps)
        if let known = step.words { return known }
        let found = candidates(step.beam)
        step.words = found
        return found
    }

    /// Other beginnings of words that may have been meant by the letters of a word that goes on, folded, none of which begins
    /// with the letters typed; those that promise the best words first.
    package func prefixes(
        _ typed: CodePoints, _ taps: [Tap?] = [], count: Int = 6
    ) -> [(prefix: CodePoints, logLikelihood: Double)] {
        let folded = Case.fold(typed), step = after(folded, taps)
        if let known = step.beginnings[count] { return known }
        let ranks = zip(step.beam.logs, step.beam.nodes).map { $0 + promise($1) }
        let best = ranks.indices.sorted { (-ranks[$0], $0) < (-ranks[$1], $1) }.prefix(4 * count)
        var found: [(prefix: CodePoints, logLikelihood: Double)] = []
        for place in best where found.count < count {
            let prefix = lexicon.prefix(Int(step.beam.nodes[place]))
            if !prefix.isEmpty && !prefix.hasPrefix(folded) && !folded.hasPrefix(prefix) {
                found.append((prefix, Double(step.beam.logs[place])))
            }
        }
        step.beginnings[count] = found
        return found
    }

    // The hypotheses after folded letters.
    private func after(_ typed: CodePoints, _ taps: [Tap?]) -> Step {
        var steps = [begun]
        for place in typed.values.indices {
            let key = Key(typed[place], taps.count == typed.count ? taps[place] : nil)
            let last = steps[steps.count - 1]
            if let known = last.longer[key] {
                steps.append(known)
                continue
            }
            let step = advance(typed.prefix(place + 1), key.tap, steps)
            if numSteps >= maxSteps { forget() }
            last.longer[key] = step
            numSteps += 1
            steps.append(step)
        }
        return steps[steps.count - 1]
    }

    // Moves hypotheses over the last letter typed: from the letter before it, from two before it, or by a rule.
    private func advance(_ typed: CodePoints, _ tap: Tap?, _ steps: [Step]) -> Step {
        let letter = typed[typed.count - 1], last = steps[steps.count - 1]
        let evidence = channel.evidence(of: letter, tap)
        let isDoubled = typed.count > 1 && typed[typed.count - 2] == letter
        let added = isDoubled ? channel.doubled(letter, evidence.added) : evidence.added
        var found = children(last.beam) { _, log, letter in log + evidence.hit[letter] }
        found = found.merged(with: stayed(last.beam, added))
        if let before = last.last {
            let beam = steps[steps.count - 2].beam
            found = found.merged(
                with: children(beam) { _, log, letter in log + evidence.hit[letter] + before.brushed[letter] })
            let swapped = children(beam) { _, log, letter in log + evidence.hit[letter] + channel.transposition }
            found = found.merged(with: children(swapped) { _, log, letter in log + before.hit[letter] })
        }
        found = found.merged(with: respelt(typed, steps))
        return Step(withOmissions(pruned(found)), evidence)
    }

    // Where the next letter can take hypotheses, as far as that is worth it.
    @inline(__always)
    private func children(_ beam: Beam, _ logOfChild: (_ parent: Int, _ log: Float, _ letter: Int) -> Float) -> Beam {
        let file = lexicon.file
        var found = Beam()
        for place in 0..<beam.count {
            let node = Int(beam.nodes[place]), log = beam.logs[place]
            for child in Int(file.firstChild[node])..<Int(file.firstChild[node + 1]) {
                let moved = logOfChild(node, log, Int(file.letters[child]))
                if moved > margin { found.append(child, moved) }
            }
        }
        return found
    }

    // Hypotheses that stay where they are: a key was hit as well.
    private func stayed(_ beam: Beam, _ added: [Float]) -> Beam {
        var found = Beam()
        for place in 0..<beam.count {
            let log = beam.logs[place] + added[Int(lexicon.file.letters[Int(beam.nodes[place])])]
            if log > margin { found.append(Int(beam.nodes[place]), log) }
        }
        return found
    }

    // Where rules of spelling take hypotheses whose letters are at the end of what was typed.
    private func respelt(_ typed: CodePoints, _ steps: [Step]) -> Beam {
        var found: [(node: Int32, log: Float)] = []
        for count in stride(from: 1, through: min(channel.longestTyped, typed.count), by: 1) {
            guard let rules = channel.substitutions[typed.suffix(from: typed.count - count)] else { continue }
            let beam = steps[steps.count - count].beam
            for rule in rules where !rule.atStart || count == typed.count {
                for place in 0..<beam.count where beam.logs[place] > Self.mostErrors {
                    var node: Int? = Int(beam.nodes[place])
                    for number in rule.meant { node = node.flatMap { lexicon.child(of: $0, number) } }
                    let log = beam.logs[place] + rule.logProbability
                    if let node, log > margin { found.append((Int32(truncatingIfNeeded: node), log)) }
                }
            }
        }
        return .sorted(found)
    }

    // Hypotheses with those that leave one more letter out.
    private func withOmissions(_ beam: Beam) -> Beam {
        let size = channel.size, omission = channel.omission, letters = lexicon.file.letters
        let skipped = children(beam) { parent, log, letter in log + omission[Int(letters[parent]) * size + letter] }
        return skipped.count == 0 ? beam : pruned(beam.merged(with: skipped))
    }

    // The best of hypotheses.
    private func pruned(_ beam: Beam) -> Beam {
        if beam.count <= options.beam { return beam }
        return beam.at(bestPlaces(zip(beam.logs, beam.nodes).map { $0 + promise($1) }, options.beam))
    }

    private func promise(_ node: Int32) -> Float { promiseOf[Int(lexicon.file.bestFrequency[Int(node)])] }

    private func candidates(_ beam: Beam) -> [Candidate] {
        var found: [(entry: Int, log: Float, rank: Float)] = []
        for place in 0..<beam.count {
            for entry in lexicon.entries(at: Int(beam.nodes[place])) where lexicon.isOffered(entry) {
                let log = beam.logs[place]
                found.append((entry, log, log + promiseOf[lexicon.frequency(of: entry)]))
            }
        }
        let best = found.indices.sorted { (-found[$0].rank, $0) < (-found[$1].rank, $1) }.prefix(options.numWords)
        return best.map { place in
            let (entry, log, _) = found[place]
            return Candidate(
                entry: entry, text: lexicon.text(entry), logLikelihood: Double(log),
                logFrequency: Double(logOf[lexicon.frequency(of: entry)]))
        }
    }

    private static let mostErrors: Float = -8  // of a hypothesis that a rule of spelling is tried on
}
