import Foundation

/// One entry of a bar that the model alone makes.
public struct Suggestion: Sendable {
    public let text: String
    /// Whether it completes the word under the cursor; else it follows the text.
    public let isCompletion: Bool
    /// For a next word, that it comes next, given the text; for a completion, that the word under the cursor is this one, given
    /// the text before it and the letters typed.
    public let probability: Double
}

/// Next words and completions by the model alone: no lexicon, no correction, nothing learned.
///
/// `keyboard_lm/evaluation/predictor.py` is the law.
public final class Predictor {
    private let tokenizer: Tokenizer
    private let boundaries: Boundaries
    private let numSuggestions: Int
    private let finishedRatio = 1.0

    /// - Parameter folder: with `config.json`, `tokenizer.model`, `proper_nouns.txt` and `model.safetensors`.
    /// - Throws: `KeyboardLMError` where a file is missing or damaged, or the parts do not belong together.
    public init(folder: URL, numSuggestions: Int = 3, threads: Int = 2, precision: Precision = .half) throws {
        tokenizer = try Tokenizer(folder: folder)
        let backend = try CPUBackend(checking: folder, threads: threads, precision: precision)
        boundaries = try Boundaries(backend, tokenizer, maxNodes: SearchOptions().maxNodes)
        self.numSuggestions = numSuggestions
    }

    /// Returns the bar for the text before the cursor.
    ///
    /// Inside a word the bar completes it, unless the letters are more likely a whole word already or begin no word the search
    /// can find: then, and between words, it holds next words.
    public func suggest(_ text: String) throws -> [Suggestion] {
        let recent = Boundaries.recent(CodePoints(text))
        var typed = tokenizer.form.splitTyped(recent)
        if !typed.partial.isEmpty {
            let found = try completions(typed)
            if !found.isEmpty { return found }
            typed = tokenizer.form.splitTyped(recent + 0x20)
        }
        var options = SearchOptions()
        options.numWords = numSuggestions
        let found = try WordSearch.find(boundaries.table, boundaries.at(typed), "", options)
        return found.words.map { word in
            let text = typed.startsSentence ? TextForm.capitalise(word.text) : word.text
            return Suggestion(text: text.string, isCompletion: false, probability: word.probability)
        }
    }

    private func completions(_ typed: TypedText) throws -> [Suggestion] {
        let word = typed.partial
        // At a sentence's start the keyboard put that capital there.
        let prefix = typed.startsSentence ? Case.fold(word.prefix(1)) + word.suffix(from: 1) : word
        var options = SearchOptions()
        options.numWords = numSuggestions + 1
        let found = try WordSearch.find(boundaries.table, boundaries.at(typed), prefix, options)
        let longer = found.prefixProbability - found.typedProbability
        if found.typedProbability > 0 && found.typedProbability >= finishedRatio * longer { return [] }
        let shown = found.words.map { (text: Self.asTyped($0.text, word), probability: $0.probability) }
        return shown.filter { $0.text != word }.prefix(numSuggestions).map {
            Suggestion(
                text: $0.text.string, isCompletion: true, probability: min(1, $0.probability / found.prefixProbability))
        }
    }

    // A completion with the capitals that were typed: the first letter's, or all of them.
    private static func asTyped(_ text: CodePoints, _ typed: CodePoints) -> CodePoints {
        let letters = typed.values.filter(CharacterClass.isAlpha)
        if letters.count > 1 && CharacterClass.isAllUpper(typed) {
            return text.values.reduce(into: CodePoints()) { $0 += CharacterClass.upper($1) }
        }
        return typed.first.map(CharacterClass.isUpper) == true ? TextForm.capitalise(text) : text
    }
}
