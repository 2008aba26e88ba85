import Foundation

/// What is known of letters that are no word and of the best that they may stand for.
package struct Evidence: Equatable, Sendable {
    /// Of the best hypothesis, given the context.
    let logPrior: Double
    /// Of what was typed, given that.
    let logChannel: Double
    /// Of the letters, as a word that nobody listed.
    let logLetters: Double
    /// Joint of the next best hypothesis; minus infinity where there is none.
    let logNext: Double
    let numLetters: Int
    /// Whether they begin with a capital that no sentence asks for.
    let isCapitalised: Bool
    /// Whether the best hypothesis is two words.
    let isSplit: Bool
    /// Whether there is text before them.
    let hasContext: Bool

    /// What the gate weighs, in the order of `Gate.features`.
    var features: [Double] {
        let logJoint = logPrior + logChannel, letters = Double(numLetters)
        return [
            1, logJoint - logLetters, logChannel, logPrior, min(logJoint - logNext, Self.mostLead), letters,
            numLetters <= 3 ? 1 : 0, logChannel / letters, logLetters / (letters + 1), isCapitalised ? 1 : 0,
            isCapitalised ? 1 : 0, isSplit ? 1 : 0,
        ]
    }

    private static let mostLead = 8.0  // logarithm by which the best is ahead of the next; more says nothing more
}

/// When letters that are no word are replaced: a calibrated weighing of what is lost and gained.
///
/// Weights of a logistic model: the odds that the best hypothesis is what was meant. `keyboard_lm/correction/gate.py` is the
/// law.
package struct Gate: Equatable, Sendable {
    static let numFeatures = 12

    /// Weights of the features behind other text.
    let inContext: [Double]
    /// The same for the first word of a field, of which the context says nothing.
    let alone: [Double]

    /// - Throws: `KeyboardLMError` where there are not as many weights as features.
    package init(inContext: [Double], alone: [Double]) throws {
        guard inContext.count == Self.numFeatures, alone.count == Self.numFeatures else {
            throw KeyboardLMError("the pack's gate does not have \(Self.numFeatures) weights; export the model again")
        }
        (self.inContext, self.alone) = (inContext, alone)
    }

    /// The odds that the best hypothesis is what was meant.
    package func odds(_ evidence: Evidence) -> Double {
        let weights = evidence.hasContext ? inContext : alone
        let score = zip(weights, evidence.features).reduce(0.0) { $0 + $1.0 * $1.1 }
        return exp(min(max(score, -50), 50))
    }
}
