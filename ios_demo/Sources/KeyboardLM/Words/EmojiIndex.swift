import Foundation

/// Emoji by the words that stand for them: the lines of an `emoji.tsv`, read when the first word is finished.
package final class EmojiIndex {
    private let content: () -> CodePoints
    private lazy var emoji = Self.read(content())

    package init(_ content: CodePoints) { self.content = { content } }

    /// - Parameter file: without it no word has an emoji.
    package init(file: URL) {
        content = { CodePoints((try? String(contentsOf: file, encoding: .utf8)) ?? "") }
    }

    /// The emoji that stand for a word, in any case, the most fitting first.
    package func find(_ word: CodePoints, limit: Int = 1) -> [CodePoints] {
        Array((emoji[Case.fold(word)] ?? CodePoints()).words().prefix(limit))
    }

    private static func read(_ content: CodePoints) -> [CodePoints: CodePoints] {
        var found: [CodePoints: CodePoints] = [:]
        for line in content.values.split(whereSeparator: CharacterClass.isLineBreak) where line.first != 0x23 {
            guard let tab = line.firstIndex(of: 0x09) else { continue }
            found[CodePoints(line[..<tab])] = CodePoints(line[(tab + 1)...])
        }
        return found
    }
}
