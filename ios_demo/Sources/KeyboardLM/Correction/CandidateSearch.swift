/// How far to look; `keyboard_lm/correction/candidates.py` says what each is.
package struct CandidateOptions: Equatable, Sendable {
    /// Most candidates.
    package var numWords = 24
    /// Hypotheses are left out whose logarithm is this much below that of the letters taken at their word, or below the best
    /// one's where those begin no word.
    package var margin = 18.0
    /// No hypothesis is this much below the letters taken at their word.
    package var mostMargin = 36.0
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
        /// What a hypothesis has to be worth at the next letter.
        let least: Float
        /// The node of the letters taken at their word; nil where no word begins so.
        let literal: Int?
        var longer: [Key: Step] = [:]
        /// When it was asked about last; a beginning is whenever one longer is.
        var used = 0
        var words: [Candidate]?
        var beginnings: [Int: [(prefix: CodePoints, logLikelihood: Double)]] = [:]

        init(_ beam: Beam, _ last: LetterEvidence?, least: Float, literal: Int?) {
            (self.beam, self.last, self.least, self.literal) = (beam, last, least, literal)
        }

        /// When each longer beginning was asked about last.
        var uses: [Int] { longer.values.flatMap { [$0.used] + $0.uses } }

        /// Drops the longer beginnings that were asked about last at a time or before it.
        func drop(usedUntil time: Int) {
            longer = longer.filter { $0.value.used > time }
            for step in longer.values { step.drop(usedUntil: time) }
        }
    }

    package let lexicon: Lexicon
    package let channel: Channel
    package let options: CandidateOptions
    private let logOf: [Float]  // of a frequency
    private let promiseOf: [Float]
    private var least: Float  // what a hypothesis has to be worth at this letter
    private let maxSteps: Int
    private let omission: [Float]
    private var numSteps = 0
    private var numAsked = 0
    private var begun = Step(Beam(nodes: [], logs: []), nil, least: 0, literal: nil)
    private var made = BeamRoom(), added = BeamRoom(), merged = BeamRoom()  // what a step is made in
    private var ranks: [Float] = []

    /// - Parameters:
    ///   - channel: over the lexicon's alphabet.
    ///   - numRemembered: letters of beginnings that are remembered, some 4 KB each.
    package init(_ lexicon: Lexicon, _ channel: Channel, _ options: CandidateOptions = CandidateOptions(), numRemembered: Int = 384) {
        (self.lexicon, self.channel, self.options, maxSteps) = (lexicon, channel, options, numRemembered)
        least = Float(-options.margin)
        logOf = (0...Lexicon.maxFrequency).map { Float($0 - Lexicon.maxFrequency) * Float(options.natsPerStep) }
        promiseOf = logOf.map { $0 * Float(options.frequencyWeight) }
        omission = channel.omission
        made.fill(with: Beam(nodes: [Int32(Lexicon.root)], logs: [0]))
        begun = Step(withOmissions(), nil, least: least, literal: Lexicon.root)
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
        let best = bestFirst(4 * count, of: step.beam.count) { step.beam.logs[$0] + promise(step.beam.nodes[$0]) }
        var found: [(prefix: CodePoints, logLikelihood: Double)] = []
        for place in best where found.count < count {
            if step.beam.logs[place] <= Float(-options.margin) { continue }
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
        numAsked += 1
        for place in typed.values.indices {
            let key = Key(typed[place], taps.count == typed.count ? taps[place] : nil)
            let last = steps[steps.count - 1]
            if let known = last.longer[key] {
                known.used = numAsked
                steps.append(known)
                continue
            }
            let step = advance(typed.prefix(place + 1), key.tap, steps)
            step.used = numAsked
            if numSteps >= maxSteps { dropOldest() }
            last.longer[key] = step
            numSteps += 1
            steps.append(step)
        }
        return steps[steps.count - 1]
    }

    // Drops the quarter of the beginnings that was asked about longest ago: all of them would be made again at once, and
    // memory would go up and down by what they take. Of a text longer than all that is remembered nothing can be kept.
    private func dropOldest() {
        let uses = begun.uses.sorted(), oldest = uses.isEmpty ? numAsked : uses[uses.count / 4]
        if oldest == numAsked { return forget() }
        begun.drop(usedUntil: oldest)
        numSteps = begun.uses.count
    }

    // Moves hypotheses over the last letter typed: from the letter before it, from two before it, or by a rule.
    private func advance(_ typed: CodePoints, _ tap: Tap?, _ steps: [Step]) -> Step {
        let letter = typed[typed.count - 1], last = steps[steps.count - 1]
        let evidence = typed.count > 1 ? channel.evidence(of: letter, tap) : channel.evidence(ofFirst: letter, tap)
        least = last.least
        let isDoubled = typed.count > 1 && typed[typed.count - 2] == letter
        move(last.beam, into: made, evidence.hit)
        // Whatever comes now can only raise what the last hypothesis kept is worth: what is below it is not looked at.
        let worth = leastRank()
        stay(last.beam, isDoubled ? channel.doubled(letter, evidence.added) : evidence.added)
        takeIn()
        if let before = last.last {
            let beam = steps[steps.count - 2].beam
            move(beam, into: added, evidence.hit, before.brushed, worth: worth)
            takeIn()
            let swap = [Float](repeating: channel.transposition, count: channel.size)
            // A letter more promises no more than the letters before it did, but for what its own key says.
            let gain = max(0, before.hit.max() ?? 0)
            move(beam, into: merged, evidence.hit, swap, worth: worth - gain - Self.rounding)
            let swapped = merged.beam()
            move(swapped, into: added, before.hit, worth: worth)
            takeIn()
        }
        var respelt = self.respelt(typed, steps, worth: worth)
        if !respelt.isEmpty {
            added.take(&respelt)
            takeIn()
        }
        prune()
        let beam = withOmissions(), best = min(beam.logs.max() ?? Float(Channel.never), 0)
        return Step(
            beam, evidence, least: max(best - Float(options.margin), Float(-options.mostMargin)),
            literal: last.literal.flatMap { lexicon.child(of: $0, lexicon.number(of: letter)) })
    }

    // Puts what has been added to what is made.
    private func takeIn() {
        if added.count == 0 { return }
        merged.merge(made, added)
        (made, merged) = (merged, made)
    }

    // Where the next letter can take hypotheses, as far as that is worth it: their logarithms and those of the letter, in turn.
    private func move(
        _ beam: Beam, into room: BeamRoom, _ first: [Float], _ second: [Float]? = nil, worth: Float = -.infinity
    ) {
        let file = lexicon.file, least = self.least, count = beam.count
        room.clear(room: numChildren(beam))
        let (nodes, logs, letters) = (room.nodes, room.logs, file.letters)
        let (firstChild, best) = (file.firstChild, file.bestFrequency)
        let given = second.map { zip(first, $0).map { ($0, $1) } } ?? first.map { ($0, 0) }
        let mostGiven = given.lazy.map { $0 + $1 }.max() ?? 0
        var num = 0
        // Letters and frequencies were looked through when the lexicon was opened: none is beyond its table.
        given.withUnsafeBufferPointer { given in
            promiseOf.withUnsafeBufferPointer { promise in
                beam.nodes.withUnsafeBufferPointer { from in
                    beam.logs.withUnsafeBufferPointer { fromLogs in
                        for place in 0..<count {
                            let node = Int(from[place]), log = fromLogs[place]
                            // No child can come further than this.
                            let most = log + mostGiven + Self.rounding
                            if most <= least || most + promise[Int(best[node])] < worth { continue }
                            for child in Int(firstChild[node])..<Int(firstChild[node + 1]) {
                                let (hit, other) = given[Int(letters[child])]
                                let moved = log + hit + other
                                nodes[num] = Int32(truncatingIfNeeded: child)
                                logs[num] = moved
                                num += moved > least && moved + promise[Int(best[child])] >= worth ? 1 : 0
                            }
                        }
                    }
                }
            }
        }
        room.count = num
    }

    private func numChildren(_ beam: Beam) -> Int {
        let firstChild = lexicon.file.firstChild
        var num = 1  // one more than are kept is written
        for node in beam.nodes { num += Int(firstChild[Int(node) + 1] - firstChild[Int(node)]) }
        return num
    }

    // Hypotheses that stay where they are: a key was hit as well.
    private func stay(_ beam: Beam, _ logOf: [Float]) {
        added.clear(room: beam.count + 1)
        var num = 0
        for place in 0..<beam.count {
            let log = beam.logs[place] + logOf[Int(lexicon.file.letters[Int(beam.nodes[place])])]
            (added.nodes[num], added.logs[num]) = (beam.nodes[place], log)
            num += log > least ? 1 : 0
        }
        added.count = num
    }

    // Where rules of spelling take hypotheses whose letters are at the end of what was typed.
    private func respelt(_ typed: CodePoints, _ steps: [Step], worth: Float) -> [(node: Int32, log: Float)] {
        let letters = lexicon.file.letters
        var found: [(node: Int32, log: Float)] = []
        for count in stride(from: 1, through: min(channel.longestTyped, typed.count), by: 1) {
            guard let rules = channel.substitutions[typed.suffix(from: typed.count - count)] else { continue }
            let beam = steps[steps.count - count].beam
            for place in 0..<beam.count where beam.logs[place] > Self.mostErrors {
                let most = beam.logs[place] + rules.most
                if most <= least || most + promise(beam.nodes[place]) < worth { continue }
                for child in lexicon.children(of: Int(beam.nodes[place])) where rules.begin(with: letters[child]) {
                    for rule in rules.beginning(with: letters[child]) where !rule.atStart || count == typed.count {
                        var node = child
                        for number in rule.meant.dropFirst() where node >= 0 { node = lexicon.child(of: node, number) ?? -1 }
                        let log = beam.logs[place] + rule.logProbability
                        if node >= 0 && log > least { found.append((Int32(truncatingIfNeeded: node), log)) }
                    }
                }
            }
        }
        if typed.count >= 3, let before = steps[steps.count - 3].literal {  // one of three letters is two places from its own
            let (x, y, z) = (typed[typed.count - 3], typed[typed.count - 2], typed[typed.count - 1])
            for meant in [[y, z, x], [z, x, y]] {
                var node: Int? = before
                for letter in meant { node = node.flatMap { lexicon.child(of: $0, lexicon.number(of: letter)) } }
                if let node, channel.moved > least { found.append((Int32(truncatingIfNeeded: node), channel.moved)) }
            }
        }
        return found
    }

    // What has been made, with hypotheses that leave one more letter out.
    private func withOmissions() -> Beam {
        let file = lexicon.file, size = channel.size, least = self.least
        let beam = made.beam()
        added.clear(room: numChildren(beam))
        let (nodes, logs) = (added.nodes, added.logs)
        let worth = leastRank(), best = file.bestFrequency
        var num = 0
        omission.withUnsafeBufferPointer { omission in
            promiseOf.withUnsafeBufferPointer { promise in
                for place in 0..<beam.count {
                    let node = Int(beam.nodes[place]), log = beam.logs[place], row = Int(file.letters[node]) * size
                    for child in Int(file.firstChild[node])..<Int(file.firstChild[node + 1]) {
                        let skipped = log + omission[row + Int(file.letters[child])]
                        (nodes[num], logs[num]) = (Int32(truncatingIfNeeded: child), skipped)
                        num += skipped > least && skipped + promise[Int(best[child])] >= worth ? 1 : 0
                    }
                }
            }
        }
        added.count = num
        if num == 0 { return beam }
        takeIn()
        prune()
        return made.beam()
    }

    // Keeps the best of what has been made.
    private func prune() {
        if made.count <= options.beam { return }
        rank()
        ranks.withUnsafeBufferPointer { ranks in
            if let start = ranks.baseAddress { made.keep(options.beam, start) }
        }
    }

    // What the last of the best of what has been made is worth; drops what is worth less.
    private func leastRank() -> Float {
        if made.count < options.beam { return -.infinity }
        rank()
        return ranks.withUnsafeBufferPointer { ranks in
            ranks.baseAddress.map { made.keepAll(options.beam, $0) } ?? -.infinity
        }
    }

    // What each hypothesis that has been made is worth.
    private func rank() {
        let num = made.count
        if ranks.count < num { ranks = [Float](repeating: 0, count: 2 * num) }
        let best = lexicon.file.bestFrequency, (nodes, logs) = (made.nodes, made.logs)
        ranks.withUnsafeMutableBufferPointer { ranks in
            promiseOf.withUnsafeBufferPointer { promise in
                for place in 0..<num { ranks[place] = logs[place] + promise[Int(best[Int(nodes[place])])] }
            }
        }
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
        return bestFirst(options.numWords, of: found.count) { found[$0].rank }.map { place in
            let (entry, log, _) = found[place]
            return Candidate(
                entry: entry, text: lexicon.text(entry), logLikelihood: Double(log),
                logFrequency: Double(logOf[lexicon.frequency(of: entry)]))
        }
    }

    private static let rounding: Float = 1e-3  // more than sums of a few logarithms are off by
    private static let mostErrors: Float = -8  // of a hypothesis that a rule of spelling is tried on
}
