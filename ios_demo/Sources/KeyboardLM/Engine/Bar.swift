/// One entry of the bar.
public struct Slot: Equatable, Sendable {
    public enum Kind: String, Sendable {
        case literal, correction, completion
        case nextWord = "next_word"
        case emoji, swiped
    }

    /// What would be inserted; a space follows it.
    public let text: CodePoints
    /// The literal is what was typed, and is there whenever a space would replace that.
    public let kind: Kind
    /// In a word, its share of all that may have been meant; between words, that the next token of the text is this word.
    public let probability: Double
    /// The end of the text before the cursor that it stands for.
    public let replaced: CodePoints

    package init(_ text: CodePoints, _ kind: Kind, _ probability: Double, replaced: CodePoints = "") {
        (self.text, self.kind, self.probability, self.replaced) = (text, kind, probability, replaced)
    }
}

/// Text offered ahead of the cursor, and how probable it is that the writer goes on exactly so.
public struct Ghost: Equatable, Sendable {
    public let text: CodePoints
    public let probability: Double
}

/// How far the engine got within its budget.
public enum Stage: String, Sendable {
    case full
    case fewerBranches = "fewer_branches"
    case noBranches = "no_branches"
    case cached
    case personalAndLexicon = "personal_and_lexicon"
}

/// A field as the bar needs to know it.
package struct Request: Sendable {
    /// All before the cursor.
    package var text: CodePoints
    /// Where its last characters were touched, at least those of the word under the cursor; empty where none is known.
    package var taps: [Tap?] = []
    /// Nil where the text alone decides on capitals.
    package var shift: Shift?
    /// Whether a correction could be applied here.
    package var mayCorrect = true
    /// Of a word that was drawn behind the text; empty where none was.
    package var path: [PathPoint] = []
    /// Which state of the field this is, for the answer to be told from those to earlier ones.
    package var revision = 0

    package init(_ text: CodePoints) { self.text = text }
}

/// A bar; `keyboard_lm/keyboard/bar.py` is the law.
public struct Answer: Equatable, Sendable {
    /// Best first, or as `arranged` put them.
    public var slots: [Slot] = []
    /// What a space would change; nil where the typed word would stay.
    public var correction: Correction?
    public var ghost: Ghost?
    public var stage = Stage.full
    public var numModelCalls = 0
    /// What the calls are estimated to take on the device.
    public var deviceMs = 0.0
    /// What the answer took on this machine.
    public var hostMs = 0.0
    public var revision = 0

    /// The answer as a field shows it: without a correction that it forbids, words that are shown in their places.
    func fitted(to editor: Editor, shown: [Slot]) -> Answer {
        var fitted = self
        if let correction, !editor.allows(correction) {
            fitted.correction = nil
            fitted.slots.removeAll { $0.kind == .literal }
        }
        fitted.slots = Self.arranged(fitted.slots, shown: shown)
        return fitted
    }

    /// Slots in an order that keeps the bar calm: a contender that was shown already stays where it is.
    ///
    /// A word keeps its place only while it is worth at least half of what would stand there without it. The literal comes first
    /// and what a space would put in its place second.
    package static func arranged(_ slots: [Slot], shown: [Slot]) -> [Slot] {
        var fixed = slots.filter { $0.kind == .literal }
        if !fixed.isEmpty { fixed += slots.filter { $0.kind == .correction }.prefix(1) }
        var waiting = slots.filter { !fixed.contains($0) }
        var placed = fixed
        for place in fixed.count..<max(slots.count, fixed.count) {
            guard let first = waiting.first else { break }
            let before = place < shown.count ? Case.fold(shown[place].text) : nil
            let kept = before.flatMap { text in waiting.first { Case.fold($0.text) == text } } ?? first
            let best = kept.probability >= contender * first.probability ? kept : first
            if let index = waiting.firstIndex(of: best) { waiting.remove(at: index) }
            placed.append(best)
        }
        return placed
    }

    /// The bar behind a swiped word, which was the first: the others, each of which would replace it and the space behind it.
    package func behind(swiped hasSpace: Bool, revision: Int) -> Answer {
        var bar = self
        let word = slots.first?.text ?? "", replaced = hasSpace ? word + " " : word
        bar.slots = slots.dropFirst().map { Slot($0.text, $0.kind, $0.probability, replaced: replaced) }
        bar.revision = revision
        return bar
    }

    private static let contender = 0.5  // of the worth of the word that would have its place: what keeps one
}
