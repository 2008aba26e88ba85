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

/// What calls of the network cost on one device, in milliseconds.
package struct CallTimes: Sendable, Equatable, Decodable {
    package let overhead: Double
    /// Of reading the weights, which overlaps in part with computing.
    package let read: Double
    /// Of computing one token.
    package let token: Double

    private enum CodingKeys: String, CodingKey {
        case overhead = "overhead_ms"
        case read = "read_ms"
        case token = "token_ms"
    }
}

/// The data of `pack.json`: layouts, the rules of a text field and of words, how words are mistyped, what devices need.
public struct Pack: Sendable {
    public let language: String
    public let layouts: [String: Layout]
    public let editor: EditorOptions
    /// How more words are made of those of the lexicon.
    package let forms: [FormRule]
    /// What may stand behind a number without a space.
    package let units: Set<CodePoints>
    package let channel: ChannelParameters
    /// When letters that are no word are replaced; nil where ratios alone decide.
    package let gate: Gate?
    /// By name.
    package let devices: [String: CallTimes]

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
        struct Weights: Decodable { let in_context, alone: [Double] }
        let language: String
        let editor: Rules
        let layouts: [String: Letters]
        let forms: [FormRule]
        let units: [String]
        let taps: TapModel
        let rates: ErrorRates
        let spelling: String
        let gate: Weights?
        let devices: [String: CallTimes]
    }
    private struct Head: Decodable { let format: Int }

    /// - Throws: `KeyboardLMError` where the file is missing, damaged, or of another format.
    public init(file: URL) throws {
        let hint = "no pack of this package's"
        let format = try JSONFile.read(Head.self, from: file, hint: hint).format
        guard format == Self.format else {
            throw KeyboardLMError("\(file.path): format \(format), but this app reads \(Self.format); export the model again")
        }
        let read = try JSONFile.read(File.self, from: file, hint: hint)
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
        forms = read.forms
        units = Set(read.units.map { CodePoints($0) })
        channel = try ChannelParameters(taps: read.taps, rates: read.rates, spelling: SpellingRule.parse(read.spelling))
        gate = try read.gate.map { try Gate(inContext: $0.in_context, alone: $0.alone) }
        devices = read.devices
    }

    private static let format = 2
}
