import Foundation

/// A keyboard over the field of another app: keys in, edits to the host out, a bar that comes when it is ready.
///
/// A letter is inserted before anything is computed. The editor's text is right as long as what the host shows is an end of it;
/// before an edit deletes, the host has to show what goes.
@MainActor
public final class KeyboardController {
    /// What the bar shows.
    public struct Bar: Equatable, Sendable {
        public var words: [String] = []
        /// Of what field the words are; the host has to agree before one is accepted.
        public var revision = -1
    }

    public private(set) var bar = Bar()
    /// One line for the writer where something is wrong; the keyboard types all the same.
    public private(set) var problem: String?
    /// Called after the bar, the shift key or the problem has changed.
    public var onChange: () -> Void = {}
    /// Edits that were not made because the host did not show what was to go.
    public private(set) var numRefused = 0

    public var shift: Shift { editor.shift }
    public var text: String { editor.text.string }

    private unowned let host: any HostField
    private let editor: Editor
    private let queue: EngineQueue
    private let capitalWords: Set<CodePoints>
    private var revision = 0
    private var identifier: String?
    private var isSuspect = false  // the host has contradicted itself: nothing is replaced until it has agreed once
    private var isEditing = false
    private var history: [CodePoints] = []  // what stood before the cursor before the last few events
    private var isLate = false
    private static let numRemembered = 3

    /// - Parameters:
    ///   - host: the field; it has to live as long as the controller.
    ///   - pack: layouts and rules.
    ///   - model: a folder with the network, or nil for a keyboard that only types.
    public init(host: any HostField, pack: Pack?, model: URL?) {
        self.host = host
        queue = EngineQueue()
        editor = Editor(options: pack?.editor ?? EditorOptions())
        capitalWords = editor.options.capitalWords
        guard let model else { return }
        queue.load({ try Predictor(folder: model) }) { problem in
            Task { @MainActor [weak self] in self?.loaded(problem) }
        }
    }

    /// A key was touched.
    public func press(_ character: String, tap: Tap? = nil) { send(.typed(CodePoints(character), tap: tap)) }

    public func backspace() {
        if let selected = host.selected, !selected.isEmpty {
            isEditing = true
            host.deleteBackward()
            isEditing = false
            isSuspect = true  // what is before the cursor now, hosts say late
            hostChanged()
        } else {
            send(.backspaced)
        }
    }

    public func pressShift(twice: Bool = false) {
        send(.shiftPressed(lock: twice))
    }

    /// Puts a word of the bar into the field.
    public func accept(_ place: Int) {
        guard bar.words.indices.contains(place), bar.revision == revision else { return }
        let word = editor.word
        send(.slotAccepted(CodePoints(bar.words[place]), replaced: word.isEmpty || !isCompleting ? "" : word))
    }

    /// The host says that its text or selection is another, or that another field has the keyboard.
    public func hostChanged() {
        guard !isEditing else { return }
        if host.identifier != identifier {
            identifier = host.identifier
            (isSuspect, isLate, history) = (false, false, [])
            _ = editor.apply(.fieldStarted(CodePoints(host.before ?? ""), isPrivate: host.isPrivate))
            changed()
            return
        }
        let shown = CodePoints(host.before ?? ""), after = CodePoints(host.after ?? "")
        let isAgreed = editor.before.hasSuffix(shown) && (!shown.isEmpty || editor.before.isEmpty)
        if isAgreed {
            if !shown.isEmpty { isSuspect = false }
            isLate = false
            return
        }
        if host.before == nil && !editor.before.isEmpty { isSuspect = true }
        if !isLate, history.contains(where: { $0.hasSuffix(shown) && !shown.isEmpty }) {
            (isLate, isSuspect) = (true, true)  // old news, perhaps: believed when it is told twice
            return
        }
        isLate = false
        _ = editor.apply(.textChanged(shown + after, cursor: shown.count))
        changed()
    }

    /// The keyboard goes away: the model's memory goes first.
    public func disappear() {
        _ = editor.apply(.fieldStarted())
        identifier = nil
        queue.unload()
    }

    private func send(_ event: Event) {
        if identifier == nil { hostChanged() }
        editor.options.capitalWords = host.mayCorrect && !isSuspect ? capitalWords : []
        let before = editor.before, after = editor.text.suffix(from: editor.cursor)
        history = history.suffix(Self.numRemembered - 1) + [before]
        let edit = editor.apply(event)
        if !perform(edit) {
            numRefused += 1
            isSuspect = true
            let shown = CodePoints(host.before ?? "")
            // The host is right about its own text: what it shows, and of ours what it may have cut off.
            let known = before.hasSuffix(shown) ? before : shown
            _ = editor.apply(.textChanged(known + after, cursor: known.count))
        }
        changed()
    }

    // Does to the host what an edit says; false, and nothing done, where the host does not show what goes.
    private func perform(_ edit: Edit) -> Bool {
        isEditing = true
        defer { isEditing = false }
        let goes = edit.deletedBefore
        if !goes.isEmpty {
            let shown = CodePoints(host.before ?? "")
            guard shown.hasSuffix(goes) || (goes.hasSuffix(shown) && !shown.isEmpty && goes.count == 1) else { return false }
        }
        if !edit.deletedAfter.isEmpty {
            guard CodePoints(host.after ?? "").hasPrefix(edit.deletedAfter) else { return false }
            host.move(by: edit.deletedAfter.string.utf16.count)
            for _ in edit.deletedAfter.string { host.deleteBackward() }
        }
        for _ in goes.string { host.deleteBackward() }
        if !edit.inserted.isEmpty { host.insert(edit.inserted.string) }
        return true
    }

    private var isCompleting = false

    private func changed() {
        revision += 1
        bar = Bar(revision: revision)
        isCompleting = !editor.word.isEmpty
        onChange()
        guard !editor.isPrivate else { return }
        queue.suggest(editor.before.string, revision: revision) { found, revision in
            Task { @MainActor [weak self] in self?.show(found, revision) }
        }
    }

    private func show(_ found: [Suggestion], _ revision: Int) {
        guard revision == self.revision else { return }  // too late: the field has moved on
        bar = Bar(words: found.map(\.text), revision: revision)
        isCompleting = found.first?.isCompletion ?? false
        onChange()
    }

    private func loaded(_ problem: String?) {
        self.problem = problem
        changed()
    }
}
