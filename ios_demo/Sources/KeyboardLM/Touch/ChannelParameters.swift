import Foundation

/// Where taps that mean one key fall, in key widths and heights: most near its centre, a few anywhere around it.
package struct TapModel: Equatable, Sendable, Decodable {
    /// Mean distance to the right of the key's centre, and below it.
    package var dx = 0.0, dy = 0.0
    /// Standard deviations.
    package var sdX = 0.23, sdY = 0.18
    /// The share of taps that are further scattered, and the standard deviation of these; also that of a key that is brushed.
    package var stray = 0.01, straySD = 0.7

    private enum CodingKeys: String, CodingKey {
        case dx, dy, stray
        case sdX = "sd_x"
        case sdY = "sd_y"
        case straySD = "stray_sd"
    }

    package init() {}
}

/// How often which error is made, as probabilities; `keyboard_lm/touch/channel.py` says what each is.
package struct ErrorRates: Equatable, Sendable, Decodable {
    package var omission = 0.005, firstOmission = 0.0005, singleForDouble = 0.02, apostrophe = 0.1, hyphen = 0.05
    package var accent = 0.9, insertion = 0.004, doubling = 0.004, transposition = 0.003, vowel = 0.004, spelling = 0.0002
    package var firstLetter = 0.45, moved = 0.0003
    package var missedSpace = 0.004, straySpace = 0.0002, missedShift = 0.08, strayShift = 0.02

    private enum CodingKeys: String, CodingKey {
        case omission, apostrophe, hyphen, accent, insertion, doubling, transposition, moved, vowel, spelling
        case firstLetter = "first_letter"
        case firstOmission = "first_omission"
        case singleForDouble = "single_for_double"
        case missedSpace = "missed_space"
        case straySpace = "stray_space"
        case missedShift = "missed_shift"
        case strayShift = "stray_shift"
    }

    package init() {}

    var all: [Double] {
        [
            omission, firstOmission, singleForDouble, apostrophe, hyphen, accent, insertion, doubling, transposition, vowel,
            spelling, firstLetter, moved, missedSpace, straySpace, missedShift, strayShift,
        ]
    }
}

/// The numbers of a channel.
package struct ChannelParameters: Equatable, Sendable {
    package var taps = TapModel()
    package var rates = ErrorRates()
    /// What people write who believe that they spell rightly.
    package var spelling: [SpellingRule] = []

    package init() {}

    /// - Throws: `KeyboardLMError` where a number is out of range.
    package init(taps: TapModel, rates: ErrorRates, spelling: [SpellingRule]) throws {
        (self.taps, self.rates, self.spelling) = (taps, rates, spelling)
        let isRight =
            (rates.all + [taps.stray]).allSatisfy { $0 > 0 && $0 < 1 }
            && [taps.sdX, taps.sdY, taps.straySD].allSatisfy { $0 > 0 && $0.isFinite }
            && taps.dx.isFinite && taps.dy.isFinite
        guard isRight else { throw KeyboardLMError("the channel has numbers out of range; export the model again") }
    }
}

/// Letters that are written for others.
package struct SpellingRule: Equatable, Sendable {
    package static let mostLetters = 4  // of one side

    /// What belongs there.
    package let meant: CodePoints
    /// What is written.
    package let typed: CodePoints
    /// Of that, where `meant` stands in a word.
    package let logProbability: Double
    /// Whether only at the beginning of a word.
    package let atStart: Bool

    /// Whether one letter is written for one other.
    var isSubstitution: Bool { meant.count == 1 && typed.count == 1 && !atStart }
    /// Whether a letter is left out behind another.
    var isOmission: Bool { meant.count == 2 && typed.count == 1 && meant[0] == typed[0] && !atStart }
    /// Whether a letter is put in behind another.
    var isInsertion: Bool { meant.count == 1 && typed.count == 2 && meant[0] == typed[0] && !atStart }

    /// Reads lines of what is meant, what is typed ("^": the beginning of a word) and a logarithm, with tabs between.
    ///
    /// - Throws: `KeyboardLMError` where a line is no such rule.
    package static func parse(_ text: String) throws -> [SpellingRule] {
        let wrong = KeyboardLMError("the pack has rules of spelling that are none; export the model again")
        return try text.split(separator: "\n").map { line in
            let fields = line.split(separator: "\t", omittingEmptySubsequences: false)
            guard fields.count == 3, let log = Double(fields[2]), log.isFinite, log < 0 else { throw wrong }
            let atStart = fields[0].hasPrefix("^")
            let meant = CodePoints(String(atStart ? fields[0].dropFirst() : fields[0])), typed = CodePoints(String(fields[1]))
            let sizes = 1...mostLetters
            guard sizes.contains(meant.count), sizes.contains(typed.count), meant != typed else { throw wrong }
            return SpellingRule(meant: meant, typed: typed, logProbability: log, atStart: atStart)
        }
    }
}
