import Foundation

/// What one letter typed, and the place touched, say about each letter of the alphabet: natural logarithms.
package struct LetterEvidence: Sendable {
    /// Of meaning a letter.
    package let hit: [Float]
    /// Of a key being hit as well, before or after a letter.
    package let brushed: [Float]
    /// The same after a letter, or of writing this one behind it by mistake.
    package let added: [Float]
}

/// How probable it is that somebody who means a word touches these places, or types these letters.
///
/// `keyboard_lm/touch/channel.py` is the law. All numbers are relative to hitting the typed keys on purpose, so that what was
/// typed, taken at its word, has 0. Letters are numbered as in a lexicon; 0 is the word's beginning.
package final class Channel {
    /// Several letters that are written for others, at the end of what was typed.
    struct Substitution {
        let logProbability: Float
        /// Numbers of the letters that belong there.
        let meant: [UInt8]
        /// Whether only at the beginning of a word.
        let atStart: Bool
    }

    /// The ways to write what was typed for something else, by the first letter that belongs there.
    struct Substitutions {
        private let rules: [Substitution]
        private let first: [Int]  // of each letter's rules, and at last their number
        /// Of the most probable rule.
        let most: Float

        init(_ given: [Substitution], numLetters: Int) {
            let order = given.indices.sorted { (given[$0].meant[0], $0) < (given[$1].meant[0], $1) }
            rules = order.map { given[$0] }
            most = given.map(\.logProbability).max() ?? -.infinity
            var first = [Int](repeating: 0, count: numLetters + 2)
            for rule in rules { first[Int(rule.meant[0]) + 1] += 1 }
            for letter in 1..<first.count { first[letter] += first[letter - 1] }
            self.first = first
        }

        /// Whether a letter begins any; most begin none.
        @inline(__always)
        func begin(with letter: UInt8) -> Bool { first[Int(letter)] < first[Int(letter) + 1] }

        func beginning(with letter: UInt8) -> ArraySlice<Substitution> { rules[first[Int(letter)]..<first[Int(letter) + 1]] }
    }

    static let never = -1e4  // the logarithm of a probability that is not worth having

    package let parameters: ChannelParameters
    package let layout: Layout
    package let places: KeyPlaces
    /// Letters and the word's beginning.
    let size: Int
    /// Of leaving out a letter (column) after another (row), (size, size).
    let omission: [Float]
    /// Of swapping two letters.
    let transposition: Float
    /// Of a letter two places too early or too late.
    let moved: Float
    let substitutions: [CodePoints: Substitutions]
    /// Letters of the longest of these.
    let longestTyped: Int

    private let alphabet: [UInt32]
    private let numberOf: [UInt32: Int]
    private let x: [Double]  // of each letter's key; letters without one are infinitely far from every tap
    private let y: [Double]
    private let asItsKey: [Double]  // how often a letter is typed by the key it has
    private let spellings: [Double]  // of writing a letter (row) as another (column)
    private let additions: [Double]  // of writing a letter (row) behind another (column) where it does not belong
    private var byKey: [UInt32: LetterEvidence] = [:]

    /// - Parameters:
    ///   - layout: of the keyboard.
    ///   - alphabet: the letters of words, folded; a letter's number is its place plus 1.
    package init(_ layout: Layout, alphabet: [UInt32], parameters: ChannelParameters = ChannelParameters()) {
        let places = KeyPlaces(layout), size = alphabet.count + 1, rates = parameters.rates
        (self.parameters, self.layout, self.places) = (parameters, layout, places)
        (self.alphabet, self.size) = (alphabet, size)
        var numberOf: [UInt32: Int] = [:]
        for (place, letter) in alphabet.enumerated() { numberOf[letter] = place + 1 }
        self.numberOf = numberOf
        let keys = alphabet.map { Self.key(of: $0, places) }
        let centres = keys.map { $0.flatMap(places.centre) }
        x = [-.infinity] + centres.map { $0?.x ?? -.infinity }
        y = [-.infinity] + centres.map { $0?.y ?? -.infinity }
        asItsKey = [1] + zip(alphabet, keys).map { $1 != nil && $1 != $0 ? exp(log(rates.accent)) : 1 }
        transposition = Float(log(rates.transposition))
        moved = Float(log(rates.moved))
        let vowels = Set("aeiou".unicodeScalars.map(\.value))
        var spellings = [Double](repeating: 0, count: size * size), additions = spellings
        for meant in 1..<size where CharacterClass.isAlpha(alphabet[meant - 1]) {
            for typed in 1..<size where CharacterClass.isAlpha(alphabet[typed - 1]) {
                let areVowels = vowels.contains(alphabet[meant - 1]) && vowels.contains(alphabet[typed - 1])
                spellings[meant * size + typed] = areVowels ? rates.vowel : rates.spelling
            }
        }
        var substitutions: [CodePoints: [Substitution]] = [:]
        var omission = [Double](repeating: rates.omission, count: size * size)
        for number in 0..<size { omission[number] = rates.firstOmission }
        for number in 0..<size { omission[number * size + number] = rates.singleForDouble }
        for rule in parameters.spelling {
            let meant = rule.meant.values.compactMap { numberOf[$0] }, typed = rule.typed.values.compactMap { numberOf[$0] }
            guard meant.count == rule.meant.count, typed.count == rule.typed.count else { continue }
            let probability = exp(rule.logProbability)
            if rule.isSubstitution {
                spellings[typed[0] * size + meant[0]] = max(spellings[typed[0] * size + meant[0]], probability)
            } else if rule.isOmission {
                omission[meant[0] * size + meant[1]] = max(omission[meant[0] * size + meant[1]], probability)
            } else if rule.isInsertion {
                additions[typed[1] * size + meant[0]] = probability
            } else {
                let made = Substitution(
                    logProbability: Float(rule.logProbability), meant: meant.map { UInt8($0) }, atStart: rule.atStart)
                substitutions[rule.typed, default: []].append(made)
            }
        }
        for (letter, rate) in [(UInt32(0x27), rates.apostrophe), (UInt32(0x2D), rates.hyphen)] {
            if let number = numberOf[letter] {
                for row in 0..<size { omission[row * size + number] = rate }
            }
        }
        self.omission = omission.map { Float(log($0)) }
        (self.spellings, self.additions) = (spellings, additions)
        self.substitutions = substitutions.mapValues { Substitutions($0, numLetters: alphabet.count) }
        longestTyped = substitutions.keys.map(\.count).max() ?? 0
    }

    /// What a folded letter says, by the place of its tap or, where that is not known, by its key.
    package func evidence(of char: UInt32, _ tap: Tap?) -> LetterEvidence {
        guard let tap, places.centre(char) != nil else { return evidence(ofKey: char) }
        let taps = parameters.taps, stray = taps.straySD
        var hit = [Double](repeating: 0, count: size), near = hit
        for number in 0..<size {
            let right = tap.x - x[number], below = tap.y - y[number]
            let across = (right - taps.dx) / taps.sdX, down = (below - taps.dy) / taps.sdY
            let onKey = exp(-(across * across + down * down) / 2) / (2 * .pi * taps.sdX * taps.sdY)
            near[number] = exp(-(right * right + below * below) / (2 * (stray * stray))) / (2 * .pi * (stray * stray))
            hit[number] = (1 - taps.stray) * onKey + taps.stray * near[number]
        }
        let own = self.own(char, hit)
        return combined(char, hit.map { $0 / own }, near.map { $0 / own })
    }

    /// What the first letter of a word says, which is more often right than any other.
    package func evidence(ofFirst char: UInt32, _ tap: Tap?) -> LetterEvidence {
        let place = evidence(of: char, tap), own = numberOf[char] ?? 0, rarer = Float(log(parameters.rates.firstLetter))
        var hit = place.hit.map { $0 + rarer }
        hit[own] = place.hit[own]
        return LetterEvidence(hit: hit, brushed: place.brushed, added: place.added)
    }

    /// What is said of a key being hit as well after a letter where that letter is typed twice.
    package func doubled(_ char: UInt32, _ added: [Float]) -> [Float] {
        guard let number = numberOf[char] else { return added }
        var found = added
        found[number] = Self.logSum(found[number], Float(log(parameters.rates.doubling)))
        return found
    }

    // Without a tap: the share of each letter's taps that land on the typed key.
    private func evidence(ofKey char: UInt32) -> LetterEvidence {
        if let known = byKey[char] { return known }
        let taps = parameters.taps, found: LetterEvidence
        if let centre = places.centre(char) {
            let onKey = share(centre, taps.sdX, taps.sdY, taps.dx, taps.dy)
            let near = share(centre, taps.straySD, taps.straySD, 0, 0)
            let mixed = zip(onKey, near).map { (1 - taps.stray) * $0 + taps.stray * $1 }
            let own = self.own(char, mixed)
            found = combined(char, mixed.map { $0 / own }, near)
        } else {
            found = combined(char, nil, nil)
        }
        if byKey.count >= Self.mostKeys { byKey.removeAll() }
        byKey[char] = found
        return found
    }

    private func own(_ char: UInt32, _ mixed: [Double]) -> Double { numberOf[char].map { mixed[$0] } ?? 1 }

    private func share(_ key: Tap, _ sdX: Double, _ sdY: Double, _ dx: Double, _ dy: Double) -> [Double] {
        (0..<size).map { number in
            let right = key.x - x[number] - dx, below = key.y - y[number] - dy
            return Self.mass(right - 0.5, right + 0.5, sdX) * Self.mass(below - 0.5, below + 0.5, sdY)
        }
    }

    // The two ways to type one letter for another, and the key that is brushed.
    private func combined(_ char: UInt32, _ hit: [Double]?, _ near: [Double]?) -> LetterEvidence {
        let number = numberOf[char] ?? 0, insertion = parameters.rates.insertion
        var emission = [Float](repeating: Float(Self.never), count: size), brushed = emission, added = emission
        for letter in 1..<size {
            var spelt = spellings[number * size + letter], brush = 0.02 / Double(size)
            if let hit, let near {
                spelt += hit[letter] * asItsKey[letter]
                brush += near[letter]
            }
            let logBrush = log(brush * insertion / 2)
            emission[letter] = Float(max(log(spelt), Self.never))
            brushed[letter] = Float(logBrush)
            added[letter] = Float(Self.logSum(logBrush, log(additions[number * size + letter])))
        }
        if number > 0 { emission[number] = 0 }
        return LetterEvidence(hit: emission, brushed: brushed, added: added)
    }

    // The normal distribution's mass between two places.
    private static func mass(_ low: Double, _ high: Double, _ deviation: Double) -> Double {
        let scale = 1 / (deviation * 2.0.squareRoot())
        return (erf(high * scale) - erf(low * scale)) / 2
    }

    // The key that types a letter: its own, or that of the letter an accent is put on.
    private static func key(of letter: UInt32, _ places: KeyPlaces) -> UInt32? {
        if places.centre(letter) != nil { return letter }
        let base = CodePoints(CodePoints(letter).string.decomposedStringWithCanonicalMapping).first ?? letter
        return base != letter && places.centre(base) != nil ? base : nil
    }

    // The logarithm of the sum of what two logarithms stand for, as numpy has it.
    private static func logSum(_ a: Double, _ b: Double) -> Double {
        if a == b { return a + log(2) }
        return a > b ? a + log1p(exp(b - a)) : b + log1p(exp(a - b))
    }

    private static func logSum(_ a: Float, _ b: Float) -> Float {
        if a == b { return a + Float(log(2.0)) }
        return a > b ? a + log1pf(expf(b - a)) : b + log1pf(expf(a - b))
    }

    private static let mostKeys = 256
}
