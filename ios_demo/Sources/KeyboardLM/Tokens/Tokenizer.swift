import Foundation

/// Form tokens to piece ids: a SentencePiece model over the keyboard text form.
package final class Tokenizer {
    package let form: TextForm
    package let model: SentencePiece
    package let beginID: Int
    package let endID: Int

    package var vocabularySize: Int { model.pieces.count }

    /// - Parameters:
    ///   - data: a serialized SentencePiece model.
    ///   - properNouns: words that keep their capital at the start of a sentence.
    /// - Throws: `KeyboardLMError` where it is no such model.
    package init(data: [UInt8], properNouns: [CodePoints]) throws {
        let model = try SentencePiece(serialized: data)
        self.model = model
        form = TextForm(properNouns: properNouns)
        func control(_ text: CodePoints) -> Int? {
            model.pieces.indices.first { model.pieces[$0] == text && model.types[$0] == .control }
        }
        guard let begin = control("<s>"), let end = control("</s>") else {
            throw KeyboardLMError("the tokenizer has no <s> or </s> piece; export the model again")
        }
        (beginID, endID) = (begin, end)
        let marks = model.pieces.filter { $0.count > 1 }
        guard
            marks.count(where: { $0.first == CharacterClass.metaSpace })
                <= marks.count(where: { $0.last == CharacterClass.metaSpace })
        else {
            throw KeyboardLMError("the tokenizer has its spaces before words; this package reads those behind words")
        }
    }

    /// Reads `tokenizer.model` and `proper_nouns.txt` of a folder.
    package convenience init(folder: URL) throws {
        do {
            let data = try Data(contentsOf: folder.appending(path: "tokenizer.model"))
            let nouns = try String(contentsOf: folder.appending(path: "proper_nouns.txt"), encoding: .utf8)
            let lines = Normaliser.split(CodePoints(nouns), isLineBreak: CharacterClass.isLineBreak)
            try self.init(data: [UInt8](data), properNouns: lines.filter { !$0.isEmpty })
        } catch let error as KeyboardLMError {
            throw error
        } catch {
            throw KeyboardLMError("\(folder.path): cannot read the tokenizer (\(error.localizedDescription)); restore the folder")
        }
    }

    /// Returns the piece ids of finished form tokens; the last id ends a word.
    package func encode(_ tokens: [CodePoints]) -> [Int] {
        tokens.isEmpty ? [] : model.encode(CodePoints.joined(tokens, by: 0x20))
    }
}
