import Foundation

/// How probable letters are as a word that nobody listed: a name, jargon, a word of another language.
///
/// A trigram model of letters, counted over the words of a lexicon when that was exported; its values stay in the file.
/// `keyboard_lm/words/letter_model.py` is the law.
package final class LetterModel {
    private let lexicon: Lexicon
    private let remembered = Memo<CodePoints, Double>(most: 2048)

    /// - Parameter lexicon: one with a letter model; without one every letter is as strange as another.
    package init(_ lexicon: Lexicon) { self.lexicon = lexicon }

    /// The logarithm of the probability of a word's letters, in any case, and of its end.
    package func logProbability(_ word: CodePoints) -> Double {
        remembered.value(word) {
            let file = lexicon.file, size = file.numLetters + 2
            var second = 0, first = 0, total = 0.0
            let numbers = Case.fold(word).values.map { Int(lexicon.number(of: $0)) } + [size - 1]  // the last is the end
            for number in numbers {
                guard number > 0, file.numLogs > 0 else {
                    total += Self.logStrange
                    (second, first) = (0, 0)
                    continue
                }
                total += Double(file.logs[(second * size + first) * size + number])
                (second, first) = (first, number)
            }
            return total
        }
    }

    private static let logStrange = log(1e-3)  // of a letter that the lexicon has no word with
}
