/// The place where a key was touched, in key widths and row heights from the layout's top left corner.
public struct Tap: Equatable, Sendable {
    public let x: Double
    public let y: Double

    public init(x: Double, y: Double) { (self.x, self.y) = (x, y) }
}

/// A correction: the end of the text before the cursor, and what a space would put in its place.
public struct Correction: Equatable, Sendable {
    public let replaced: CodePoints
    public let text: CodePoints

    public init(replaced: CodePoints, text: CodePoints) { (self.replaced, self.text) = (replaced, text) }
}

/// What a text field's keyboard is told. Offsets and lengths are in code points.
public enum Event: Equatable, Sendable {
    /// A key was pressed: what is on it, where it was touched, and what the engine had decided for the text as it stands.
    case typed(CodePoints, tap: Tap? = nil, correction: Correction? = nil)
    /// A word was drawn, and this was read from its path (see `Session.swipe`).
    case swiped(CodePoints)
    case backspaced
    /// Shift was pressed once, or twice for caps lock.
    case shiftPressed(lock: Bool = false)
    /// A slot of the bar was tapped; `replaced` is the end of the text that it stands for, empty for a word that comes next, nil
    /// for the word under the cursor.
    case slotAccepted(CodePoints, replaced: CodePoints? = nil)
    /// The ghost text at the cursor was accepted, all of it or its first word.
    case ghostAccepted(CodePoints, onlyWord: Bool = false)
    /// The writer put the cursor at an offset.
    case cursorMoved(Int)
    /// The text became another by other means than the keyboard.
    case textChanged(CodePoints, cursor: Int)
    /// Another field has the keyboard; the cursor is at its end. In a private one no word is reported as finished.
    case fieldStarted(CodePoints = "", isPrivate: Bool = false)
}

/// A word that the writer has left standing.
public struct FinishedWord: Equatable, Sendable {
    public let word: CodePoints
    /// The text before it on its line, at most the last 256 code points.
    public let context: CodePoints
    /// Whether it was taken from the bar, put back after a correction, or edited by hand.
    public let isMeant: Bool
}

/// A correction that the writer took back: `literal` is not to become `corrected` again.
public struct Undone: Equatable, Sendable {
    public let literal: CodePoints
    public let corrected: CodePoints
}

/// What the keyboard does to the field, in this order.
public struct Edit: Equatable, Sendable {
    public var deletedBefore: CodePoints = ""
    public var deletedAfter: CodePoints = ""
    public var inserted: CodePoints = ""
    public var correction: Correction?
    public var undone: Undone?
    /// Words to learn, oldest first: each is reported when the next one is finished or the cursor or the field is left.
    public var finished: [FinishedWord] = []
}
