import Foundation

/// Where the keys of a keyboard's letter page are, in key widths and row heights.
public struct Layout: Sendable, Equatable {
    public struct Row: Sendable, Equatable {
        public let keys: [String]
        public let left: Double

        package init(keys: [String], left: Double) { (self.keys, self.left) = (keys, left) }
    }

    public let name: String
    public let rows: [Row]
    public let spaceLeft: Double
    public let spaceWidth: Double

    package init(name: String, rows: [Row], spaceLeft: Double, spaceWidth: Double) {
        (self.name, self.rows, self.spaceLeft, self.spaceWidth) = (name, rows, spaceLeft, spaceWidth)
    }

    /// The width of the widest row, in keys.
    public var width: Double { rows.map { $0.left + Double($0.keys.count) }.max() ?? 1 }
}

/// The data of `pack.json`: layouts and the rules of a text field.
public struct Pack: Sendable {
    public let language: String
    public let layouts: [String: Layout]
    public let editor: EditorOptions

    private struct File: Decodable {
        struct Row: Decodable {
            let keys: String
            let left: Double
        }
        struct Space: Decodable { let left, width: Double }
        struct Letters: Decodable {
            let rows: [Row]
            let space: Space
        }
        struct Rules: Decodable {
            let capital_words: [String]
            let full_stop: String
            let sentence_capitals: Bool
        }
        let format: Int
        let language: String
        let editor: Rules
        let layouts: [String: Letters]
    }

    /// - Throws: `KeyboardLMError` where the file is missing, damaged, or of another format.
    public init(file: URL) throws {
        let read: File
        do {
            read = try JSONDecoder().decode(File.self, from: Data(contentsOf: file))
        } catch {
            throw KeyboardLMError("\(file.path): no pack of this package's; export the model again")
        }
        guard read.format == Self.format else {
            throw KeyboardLMError("\(file.path): format \(read.format), but this app reads \(Self.format); export the model again")
        }
        language = read.language
        layouts = Dictionary(
            uniqueKeysWithValues: read.layouts.map { name, letters in
                let rows = letters.rows.map { Layout.Row(keys: $0.keys.map(String.init), left: $0.left) }
                let space = letters.space
                return (name, Layout(name: name, rows: rows, spaceLeft: space.left, spaceWidth: space.width))
            })
        guard let qwerty = layouts["qwerty"], qwerty.rows.allSatisfy({ !$0.keys.isEmpty }) else {
            throw KeyboardLMError("\(file.path): no layout in it; export the model again")
        }
        var rules = EditorOptions()
        rules.capitalWords = Set(read.editor.capital_words.map { CodePoints($0) })
        rules.fullStop = CodePoints(read.editor.full_stop)
        rules.sentenceCapitals = read.editor.sentence_capitals
        editor = rules
    }

    private static let format = 1
}
