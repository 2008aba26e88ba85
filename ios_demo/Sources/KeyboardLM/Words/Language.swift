import Foundation

/// All that the engine knows of a language, from the files that an export leaves beside a model.
package struct Language {
    package let name: String
    package let lexicon: Lexicon
    package let channel: ChannelParameters
    package let emoji: EmojiIndex
    package let editor: EditorOptions
    package let forms: [FormRule]
    package let units: Set<CodePoints>
    package let gate: Gate?

    package static let packFile = "pack.json", lexiconFile = "lexicon.bin", emojiFile = "emoji.tsv"

    /// - Parameters:
    ///   - pack: of the language.
    ///   - folder: with `lexicon.bin`, and `emoji.tsv` in it or in its folder `language`.
    /// - Throws: `KeyboardLMError` where the lexicon is missing or damaged.
    package init(_ pack: Pack, folder: URL) throws {
        try self.init(pack, lexicon: Lexicon(file: folder.appending(path: Self.lexiconFile)), emoji: Self.emoji(folder))
    }

    package init(_ pack: Pack, lexicon: Lexicon, emoji: EmojiIndex) {
        name = pack.language
        (self.lexicon, self.emoji) = (lexicon, emoji)
        (channel, editor, forms, units, gate) = (pack.channel, pack.editor, pack.forms, pack.units, pack.gate)
    }

    /// What says what is a word, the writer's own among them.
    package func knownWords(isLearned: @escaping (CodePoints) -> Bool = { _ in false }) -> KnownWords {
        KnownWords(lexicon, forms: forms, units: units, isLearned: isLearned)
    }

    private static func emoji(_ folder: URL) -> EmojiIndex {
        let beside = folder.appending(path: emojiFile)
        let isBeside = FileManager.default.fileExists(atPath: beside.path)
        return EmojiIndex(file: isBeside ? beside : folder.appending(path: "language").appending(path: emojiFile))
    }
}
