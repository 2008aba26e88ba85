import Foundation

/// Says what somebody meant by the word before the cursor, and whether a space should put that in its place.
///
/// The posterior of a word is P(word | context) x P(taps | word), over the words of a lexicon and the literal, which is what was
/// typed taken at its word. The word before the last is thought of again if it was judged in its turn, when it was the last.
/// `keyboard_lm/correction/corrector.py` is the law.
package final class Corrector {
    private let options: CorrectorOptions
    private let readings: Readings
    private let scorer: WordScorer
    private let gate: Gate?
    private let isProtected: (CodePoints) -> Bool
    private let lexicon: Lexicon
    private let words: KnownWords
    private let form: TextForm
    private let leastLead: Double
    private var judged: [(text: CodePoints, hypotheses: [Hypothesis])] = []  // what else the last words may have been

    /// - Parameters:
    ///   - search: for the words that may have been meant.
    ///   - tokenizer: of the network.
    ///   - isProtected: words that must stay as they are: those that were learned, or once restored.
    ///   - maxNodes: of one call of the network.
    ///   - words: what is a word; nil for those of the lexicon.
    ///   - gate: when letters that are no word are replaced; nil where the ratios alone decide.
    package convenience init(
        _ search: CandidateSearch, _ tokenizer: Tokenizer, options: CorrectorOptions = CorrectorOptions(),
        isProtected: @escaping (CodePoints) -> Bool = { _ in false }, maxNodes: Int = 16, words: KnownWords? = nil, gate: Gate? = nil
    ) {
        let words = words ?? KnownWords(search.lexicon)
        let readings = Readings(search, tokenizer.form, options, words, search.channel.layout)
        self.init(readings, WordScorer(tokenizer, maxNodes: maxNodes), gate, isProtected)
    }

    private init(_ readings: Readings, _ scorer: WordScorer, _ gate: Gate?, _ isProtected: @escaping (CodePoints) -> Bool) {
        (self.readings, self.scorer, self.gate, self.isProtected) = (readings, scorer, gate, isProtected)
        (options, words, form, lexicon) = (readings.options, readings.words, readings.form, readings.search.lexicon)
        leastLead = log(max(options.unknownRatio, options.knownRatio))
    }

    /// A corrector for another field, which shares all that does not depend on one.
    package func another(isProtected: @escaping (CodePoints) -> Bool) -> Corrector {
        Corrector(readings, scorer, gate, isProtected)
    }

    /// Drops what earlier words may still turn out to have been.
    package func forget() { judged.removeAll() }

    /// Whether letters are a word as they stand.
    package func knows(_ word: CodePoints) -> Bool { words.isKnown(word) }

    /// Says what was meant by the word that ends a text, and whether to correct it.
    ///
    /// - Parameters:
    ///   - text: all before the cursor, which stands right behind the word.
    ///   - boundaryOf: asks the network; nil where it may not be asked, and the lexicon's frequencies have to do.
    ///   - taps: of the last characters; those of the word or none.
    ///   - prior: what is believed of a word instead of what the network says.
    ///   - more: finds words that are not in the lexicon.
    ///   - typed: the text as the text form splits it, if that is known already.
    package func judge(
        _ text: CodePoints, _ boundaryOf: BoundaryOf, taps: [Tap?] = [], prior: Prior? = nil, more: MoreWords? = nil,
        typed: TypedText? = nil
    ) throws -> Verdict {
        let typed = typed ?? form.splitTyped(text), word = typed.partial
        if word.isEmpty || !text.hasSuffix(word) { return Verdict() }
        if Self.isShouted(text, word) { return try shouted(text, boundaryOf, taps, prior, more) }
        let isDigitInside = hasDigitInside(text, word)
        if !isDigitInside && protects(text, word) { return Verdict() }
        let taps = taps.count >= word.count ? Array(taps.suffix(word.count)) : []
        let literal = readings.literal(typed)
        if isDigitInside {
            let found = [literal] + readings.withoutDigit(typed)
            return verdict(word, try weighed(found, boundaryOf(typed), prior), typed)
        }
        let (ofWord, splits) = readings.ofWord(typed, taps)
        let own = more.map { readings.readings($0(word, taps), typed) } ?? []
        var others = ofWord + own + splits
        if typed.messages.allSatisfy({ $0.isEmpty }) {
            for place in others.indices { others[place].mix = options.frequencyMixAlone }
        }
        var found = try joined(text, typed, boundaryOf, prior)
        if found.isEmpty { found = try weighed([literal] + others, boundaryOf(typed), prior) }
        let verdict = self.verdict(word, found, typed)
        remember(text, word, verdict)
        if verdict.correction != nil { return verdict }
        return try reconsidered(text, typed, boundaryOf) ?? verdict
    }

    // MARK: What is left alone

    private func hasDigitInside(_ text: CodePoints, _ word: CodePoints) -> Bool {
        let chunk = Self.chunk(text)
        guard chunk == word, chunk.values.allSatisfy(CharacterClass.isAlphanumeric),
            !chunk.values.allSatisfy(CharacterClass.isAlpha)
        else { return false }
        return readings.slips.withoutDigit(word).contains(where: lexicon.isKnown) && !words.isWord(word) && !isProtected(word)
    }

    /// Whether a word must stay: digits, addresses, capitals inside or throughout, and what was learned.
    package func protects(_ text: CodePoints, _ word: CodePoints) -> Bool {
        let chunk = Self.chunk(text), rest = word.suffix(from: 1)
        return word.count > options.maxLetters || (!chunk.values.allSatisfy(CharacterClass.isAlpha) && Self.isNoProse(chunk))
            || chunk.values.indices.contains { chunk.suffix(from: $0).hasPrefix("www") } || rest != Case.fold(rest)
            || !word.values.contains(where: CharacterClass.isAlpha) || !CharacterClass.isAlpha(word[word.count - 1])
            || (word.count == 1 && !readings.isLoneCapital(word)) || isProtected(word)
    }

    // Capitals throughout, behind other words that are: a sentence in capitals, no abbreviation.
    private static func isShouted(_ text: CodePoints, _ word: CodePoints) -> Bool {
        // Some capitals have no small letter of one character.
        guard word.count >= 2, CharacterClass.isAllUpper(word), word != Case.fold(word) else { return false }
        let start = (text.values.lastIndex(of: 0x0A) ?? -1) + 1
        let before = text[start..<max(start, text.count - word.count)].words().map { each in
            (text: each, numLetters: each.values.count(where: CharacterClass.isAlpha))
        }.filter { $0.numLetters > 0 }
        return before.allSatisfy { CharacterClass.isAllUpper($0.text) } && before.contains { $0.numLetters > 1 }
    }

    // Judges a text in capitals as if it were in small letters, and answers in capitals.
    private func shouted(
        _ text: CodePoints, _ boundaryOf: BoundaryOf, _ taps: [Tap?], _ prior: Prior?, _ more: MoreWords?
    ) throws -> Verdict {
        let quiet = try judge(Case.fold(text), boundaryOf, taps: taps, prior: prior, more: more)
        func loud(_ each: Hypothesis) -> Hypothesis {
            var found = each
            found.replaced = text.suffix(from: text.count - each.replaced.count)
            found.text = Case.upper(each.text)
            return found
        }
        let best = quiet.correction.flatMap { Case.upper($0.text) != Case.upper($0.replaced) ? $0 : nil }
        return Verdict(quiet.hypotheses.map(loud), correction: best.map(loud))
    }

    // MARK: Other words

    // What is left of and right of a stray space as one word and as two; nothing if that is no question.
    private func joined(_ text: CodePoints, _ typed: TypedText, _ boundaryOf: BoundaryOf, _ prior: Prior?) throws -> [Hypothesis] {
        let right = typed.partial, before = text.dropLast(right.count)
        guard before.last == KeyPlaces.space, before.count < 2 || !CharacterClass.isSpace(before[before.count - 2]) else { return [] }
        let earlierText = before.dropLast()
        let earlier = form.splitTyped(earlierText), left = earlier.partial, both = left + right
        guard !left.isEmpty, right == Case.fold(right), lexicon.frequency(both) > 0, !lexicon.isOffensive(both),
            !(lexicon.isKnown(left) && lexicon.isKnown(right)), earlierText.hasSuffix(left), !protects(earlierText + right, both),
            let first = readings.token(left, earlier), let whole = readings.token(both, earlier)
        else { return [] }
        let apart = left + KeyPlaces.space + right
        let found = [
            Reading(replaced: apart, text: apart, logChannel: 0, tokens: [WeighedTokens(tokens: [first, right], weight: 1)]),
            Reading(
                replaced: apart, text: both, logChannel: log(readings.search.channel.parameters.rates.straySpace),
                tokens: [WeighedTokens(tokens: [whole], weight: 1)]),
        ]
        let hypotheses = try weighed(found, boundaryOf(earlier), prior)
        return !hypotheses[0].isLiteral && Self.ratio(hypotheses) >= options.unknownRatio ? hypotheses : []
    }

    // What the word may still turn out to be, once the next one is there.
    private func remember(_ text: CodePoints, _ word: CodePoints, _ verdict: Verdict) {
        if judged.count >= Self.maxJudged { judged.removeFirst() }
        var kept: [Hypothesis] = []
        if verdict.correction == nil, let literal = verdict.hypotheses.first(where: \.isLiteral) {
            let least = literal.logJoint - log(options.reconsiderMargin)
            kept = verdict.hypotheses.filter { each in
                each.replaced == word && !each.text.contains(KeyPlaces.space) && (each.isLiteral || each.logJoint >= least)
            }
        }
        kept = Array(kept.prefix(Self.maxReconsidered + 1))
        if let known = judged.firstIndex(where: { $0.text == text }) {
            judged[known].hypotheses = kept
        } else {
            judged.append((text, kept))
        }
    }

    // What the word before the last becomes if the one under the cursor makes it implausible.
    private func reconsidered(_ text: CodePoints, _ typed: TypedText, _ boundaryOf: BoundaryOf) throws -> Verdict? {
        let right = typed.partial, before = text.dropLast(right.count), earlierText = before.dropLast()
        let hypotheses = judged.first { $0.text == earlierText }?.hypotheses ?? []
        guard before.last == KeyPlaces.space, hypotheses.count >= 2, lexicon.isKnown(right) else { return nil }
        let earlier = form.splitTyped(earlierText), left = earlier.partial
        guard !left.isEmpty, earlierText.hasSuffix(left), let boundary = try boundaryOf(earlier),
            let literal = hypotheses.first(where: \.isLiteral), literal.text == left
        else { return nil }
        var found: [Reading] = []
        for each in hypotheses.filter(\.isLiteral) + hypotheses.filter({ !$0.isLiteral }) {
            guard let token = readings.token(each.text, earlier) else { return nil }
            found.append(
                Reading(
                    replaced: left + KeyPlaces.space + right, text: each.text + KeyPlaces.space + right, logChannel: each.logChannel,
                    tokens: [WeighedTokens(tokens: [token, right], weight: 1)]))
        }
        let again = try weighed(found, boundary, nil), best = again[0]
        if best.isLiteral { return nil }
        let isContraction = Self.bare(best.text) == Self.bare(best.replaced)
        let needed = isContraction ? options.contractionRatioBehind : options.reconsiderRatio
        return Self.ratio(again) >= needed ? Verdict(again, correction: best) : nil
    }

    // MARK: Weighing

    // Hypotheses, the most probable first. Of the readings, the first is the literal.
    //
    // The network is asked only about those that could win; others count by the lexicon's frequency, and a literal that cannot
    // win by as much as is known of it.
    private func weighed(_ given: [Reading], _ boundary: Boundary?, _ prior: Prior?) throws -> [Hypothesis] {
        var found = given
        if boundary == nil { found[0].frequency = readings.literalFrequency(found[0].text) }
        var (bounds, isExact) = try self.bounds(found, boundary, prior)
        let best = zip(bounds, isExact).filter(\.1).map(\.0).max() ?? -.infinity
        let order = found.indices.dropFirst().sorted { (-bounds[$0], $0) < (-bounds[$1], $1) }
        let asked = ([0] + order).filter { !isExact[$0] && bounds[$0] >= best - ($0 == 0 ? leastLead : 0) }
        if !asked.isEmpty, let boundary {
            let again = try self.bounds(asked.map { found[$0] }, boundary, prior, maxCalls: options.maxCalls)
            for (number, place) in asked.enumerated() { (bounds[place], isExact[place]) = (again.0[number], again.1[number]) }
        }
        let joints = found.indices.map { place in
            isExact[place] || place == 0 ? bounds[place] : logJoint(found[place], 0, prior)
        }
        let most = joints.max() ?? 0
        let parts = joints.map { exp($0 - most) }
        let total = parts.reduce(0, +)
        let ranked = found.indices.sorted { one, other in
            if joints[one] != joints[other] { return joints[one] > joints[other] }
            return found[one].text != found[other].text ? found[one].text < found[other].text : one < other
        }
        var hypotheses: [Hypothesis] = []
        hypotheses.reserveCapacity(found.count)
        var seen: [UInt64] = []  // a few dozen: looked through sooner than a set is asked
        for place in ranked {
            let reading = found[place], mixed = reading.text.mixed
            if seen.contains(mixed) && hypotheses.contains(where: { $0.text == reading.text }) { continue }
            seen.append(mixed)
            hypotheses.append(
                Hypothesis(
                    replaced: reading.replaced, text: reading.text, logJoint: joints[place], posterior: parts[place] / total,
                    logChannel: reading.logChannel))
        }
        return hypotheses
    }

    // What each reading's joint probability is or cannot exceed, and which of the two.
    private func bounds(
        _ found: [Reading], _ boundary: Boundary?, _ prior: Prior?, maxCalls: Int = 0
    ) throws -> ([Double], [Bool]) {
        guard let boundary else { return (found.map { logJoint($0, 0, prior) }, found.map { _ in true }) }
        var words: [[CodePoints]] = []
        words.reserveCapacity(2 * found.count)
        for reading in found {
            for weighed in reading.tokens { words.append(weighed.tokens) }
        }
        let scores = try scorer.ask(boundary, words, maxCalls: maxCalls)
        var joints: [Double] = [], isExact: [Bool] = []
        joints.reserveCapacity(found.count)
        isExact.reserveCapacity(found.count)
        var place = 0
        for reading in found {
            var probability = 0.0, areKnown = true
            for weighed in reading.tokens {
                probability += weighed.weight * scores[place].probability
                areKnown = areKnown && scores[place].isExact
                place += 1
            }
            joints.append(logJoint(reading, probability, prior))
            isExact.append(areKnown)
        }
        return (joints, isExact)
    }

    private func logJoint(_ reading: Reading, _ given: Double, _ prior: Prior?) -> Double {
        var probability = reading.logUnlisted.map(exp) ?? given
        if reading.logFloor > -.infinity { probability = max(probability, exp(reading.logFloor)) }
        if let prior { probability = prior(probability, reading.text) }
        let mix = reading.mix ?? options.frequencyMix
        probability = (1 - mix) * probability + mix * reading.frequency
        return log(max(probability, Self.tiny)) + reading.logChannel
    }

    // MARK: The verdict

    private func verdict(_ word: CodePoints, _ found: [Hypothesis], _ typed: TypedText) -> Verdict {
        var best = found[0]
        func unless(_ isEnough: Bool) -> Verdict { Verdict(found, correction: isEnough ? best : nil) }
        let isKnown = words.isKnown(word)
        if best.isLiteral {
            // What is no word is for the gate to weigh, whose odds are calibrated; a prior of unlisted letters is not.
            guard !isKnown, let other = Self.other(word, found), isForGate(word), !other.text.contains(KeyPlaces.space) else {
                return Verdict(found)
            }
            best = other
            return unless(passesGate(word, found, typed))
        }
        if best.replaced == word {
            best = unlessAName(word, found)
            if best.isLiteral { return Verdict(found) }
        }
        let lead = exp(min(best.logJoint - Self.literal(found).logJoint, 700))
        if best.replaced != word { return unless(lead >= options.unknownRatio) }
        if Case.fold(best.text) == Case.fold(word) {
            return unless(lead >= (isKnown ? options.knownRatio : options.caseRatio))
        }
        if isKnown {
            let isContraction = Self.bare(best.text) == Self.bare(word)
            return unless(lead >= (isContraction ? options.contractionRatio : options.knownRatio))
        }
        if best.text.contains(KeyPlaces.space) {
            return unless(best.logJoint - best.logChannel >= log(options.leastPhrase) && lead >= options.unknownRatio)
        }
        return unless(isForGate(word) ? passesGate(word, found, typed) : lead >= options.unknownRatio)
    }

    // Whether the gate is asked about letters that are no word.
    private func isForGate(_ word: CodePoints) -> Bool {
        gate != nil && !readings.isMiswritten(word) && word.values.allSatisfy(CharacterClass.isAlpha)
    }

    private func passesGate(_ word: CodePoints, _ found: [Hypothesis], _ typed: TypedText) -> Bool {
        guard let gate else { return false }
        let evidence = self.evidence(word, found, typed)
        return gate.odds(evidence) >= (evidence.hasContext ? options.leastOdds : options.leastOddsAlone)
    }

    // The most probable hypothesis but the literal, if it puts other letters in a word's place.
    private static func other(_ word: CodePoints, _ found: [Hypothesis]) -> Hypothesis? {
        guard let best = found.first(where: { !$0.isLiteral && $0.replaced == word }) else { return nil }
        return Case.fold(best.text) == Case.fold(word) ? nil : best
    }

    // The best hypothesis; one of other letters only where it beats the word's own with other capitals.
    //
    // A name gets its capital, not another word. Somebody who writes without capitals has not mistyped, so that the missing one
    // does not count against the name.
    private func unlessAName(_ word: CodePoints, _ found: [Hypothesis]) -> Hypothesis {
        let best = found[0], folded = Case.fold(word)
        let same = found.filter { !$0.isLiteral && Case.fold($0.text) == folded }
        if same.isEmpty || Case.fold(best.text) == folded { return best }
        var name = same[0]
        for each in same.dropFirst() where each.logJoint - each.logChannel > name.logJoint - name.logChannel { name = each }
        let frequency = words.logFrequency(name.text, natsPerStep: readings.search.options.natsPerStep)
        let logName = max(name.logJoint - name.logChannel, log(options.knownMix) + frequency)
        return best.logJoint >= logName + log(options.knownRatio) ? best : name
    }

    // What the gate weighs of letters that are no word. At the beginning of a sentence a capital is the keyboard's, and says
    // nothing of the word.
    private func evidence(_ word: CodePoints, _ found: [Hypothesis], _ typed: TypedText) -> Evidence {
        let others = found.lazy.filter { !$0.isLiteral && $0.replaced == word }.prefix(2)
        let best = others.first ?? found[0], next = others.dropFirst().first
        return Evidence(
            logPrior: best.logJoint - best.logChannel, logChannel: best.logChannel,
            logLetters: readings.letterModel.logProbability(word), logNext: next?.logJoint ?? -.infinity, numLetters: word.count,
            isCapitalised: CharacterClass.isUpper(word[0]) && !typed.startsSentence,
            isSplit: best.text.contains(KeyPlaces.space), hasContext: !typed.messages.allSatisfy(\.isEmpty))
    }

    // The text from the last space on.
    private static func chunk(_ text: CodePoints) -> CodePoints {
        text.suffix(from: (text.values.lastIndex(of: KeyPlaces.space) ?? -1) + 1)
    }

    private static func isNoProse(_ chunk: CodePoints) -> Bool {
        let dot: UInt32 = 0x2E
        let inner = chunk.values.drop { $0 == dot }
        return chunk.values.contains { CharacterClass.isDigit($0) || addressSigns.contains($0) }
            || inner.prefix(inner.count - inner.reversed().prefix { $0 == dot }.count).contains(dot)
    }

    private static func bare(_ text: CodePoints) -> CodePoints {
        CodePoints(Case.fold(text).values.filter { $0 != Readings.apostrophe })
    }

    private static func literal(_ found: [Hypothesis]) -> Hypothesis { found.first(where: \.isLiteral) ?? found[0] }

    private static func ratio(_ found: [Hypothesis]) -> Double {
        exp(min(found[0].logJoint - literal(found).logJoint, 700))
    }

    private static let tiny = 1e-30
    private static let addressSigns = Set("@/\\:#&_~+=<>|^*".unicodeScalars.map(\.value))
    private static let maxJudged = 8
    private static let maxReconsidered = 3
}
