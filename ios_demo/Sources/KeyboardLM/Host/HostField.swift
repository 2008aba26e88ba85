/// The text field of another app, as a keyboard extension may see it.
///
/// What it says is often cut to a sentence, old, or missing: `KeyboardController` trusts its own text until the host's
/// contradicts it.
@MainActor
public protocol HostField: AnyObject {
    /// The text before the cursor, as much of it as the host shows; nil for none or unknown.
    var before: String? { get }
    var after: String? { get }
    var selected: String? { get }
    /// Tells one field from another.
    var identifier: String { get }
    /// Whether nothing of the field may be learned, or suggested from it.
    var isPrivate: Bool { get }
    /// Whether the field wants words to be corrected.
    var mayCorrect: Bool { get }
    /// Whether the field wants its sentences to begin with capitals.
    var mayCapitalise: Bool { get }

    func insert(_ text: String)
    /// Deletes the character before the cursor, as the reader sees characters, or the selection.
    func deleteBackward()
    /// Moves the cursor by so many UTF-16 units.
    func move(by offset: Int)
}
