/// A word that may have been meant.
package struct Candidate: Equatable, Sendable {
    /// Its number in the lexicon.
    package let entry: Int
    /// As cased in the lexicon.
    package let text: CodePoints
    /// Of what was typed, case apart, relative to typing these letters on purpose.
    package let logLikelihood: Double
    /// 0 or below, relative to the highest frequency there can be.
    package var logFrequency: Double

    package init(entry: Int, text: CodePoints, logLikelihood: Double, logFrequency: Double) {
        (self.entry, self.text, self.logLikelihood, self.logFrequency) = (entry, text, logLikelihood, logFrequency)
    }
}

/// What may have been meant, as it would be written.
package struct Hypothesis: Equatable, Sendable {
    /// The end of the text before the cursor that it stands for.
    package var replaced: CodePoints
    package var text: CodePoints
    /// Logarithm of P(text | context) x P(taps | text).
    package let logJoint: Double
    /// Its share among all hypotheses.
    package let posterior: Double
    /// Logarithm of P(taps | text), relative to that of typing these letters on purpose.
    package let logChannel: Double

    /// Whether it changes nothing.
    package var isLiteral: Bool { text == replaced }
}

/// What to make of the word before the cursor.
package struct Verdict: Equatable, Sendable {
    /// The most probable first, the literal among them; empty where there is no word, or a protected one.
    package let hypotheses: [Hypothesis]
    /// The one that a space should put in place of what was typed; nil to leave it.
    package let correction: Hypothesis?

    package init(_ hypotheses: [Hypothesis] = [], correction: Hypothesis? = nil) {
        (self.hypotheses, self.correction) = (hypotheses, correction)
    }
}

/// Asks the network about the context of a typed text; nil where it may not be asked.
package typealias BoundaryOf = (TypedText) throws -> Boundary?

/// From the network's probability of a word, and the word, to what is believed instead.
package typealias Prior = (Double, CodePoints) -> Double

/// Finds words that are in no lexicon, by letters and taps.
package typealias MoreWords = (CodePoints, [Tap?]) -> [Candidate]
