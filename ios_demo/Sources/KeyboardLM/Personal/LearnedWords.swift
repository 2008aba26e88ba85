import Foundation

/// A personal file of an app's own, to be looked at: words listed, forgotten, taken in and exported.
///
/// Without Full Access an app cannot open its keyboard's file: the keyboard types what it has learned into a field of the app, and
/// this takes it in.
public final class LearnedWords {
    private let store: PersonalStore

    /// - Parameter path: of the file; nil keeps it in memory.
    /// - Throws: `KeyboardLMError` where there is something else at that path.
    public init(path: String?) throws { store = try PersonalStore(path: path, knows: { _ in false }) }

    /// All words, those used most first.
    public var words: [String] { store.heaviestWords().map(\.string) }
    /// What went wrong without stopping anything.
    public var warnings: [String] { store.warnings }

    /// Takes in what a keyboard has typed, or `keyboard-lm learned export` has written.
    ///
    /// - Throws: `KeyboardLMError` for any other text; nothing has changed.
    public func add(_ archive: String) throws { try store.add(archive: archive) }

    /// All of it as JSON lines.
    public func archive() throws -> String { try store.archive() }

    /// Forgets a word and what followed it; false where there is none.
    @discardableResult
    public func forget(_ word: String) throws -> Bool { try store.forget(CodePoints(word)) }

    public func clear() throws { try store.clear() }
    public func close() { store.close() }
}
