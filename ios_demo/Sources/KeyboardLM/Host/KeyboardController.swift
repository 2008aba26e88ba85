import Foundation

/// A keyboard over the field of another app: keys in, edits to the host out, a bar that comes when it is ready.
///
/// A letter is inserted before anything is computed; a key that ends a word waits a bounded time for the word's bar, and corrects
/// or does not. The editor's text is right as long as what the host shows is an end of it; before an edit deletes, the host has to
/// show what goes.
@MainActor
public final class KeyboardController {
    /// What the bar shows.
    public struct Bar: Equatable, Sendable {
        public var slots: [Slot] = []
        public var ghost: Ghost?
        /// Of what field the words are; the host has to agree before one is accepted.
        public var revision = -1

        /// The words as the bar writes them: what was typed stands in quotes.
        public var words: [String] { slots.map(\.written) }
    }

    public private(set) var bar = Bar()
    /// One line for the writer where something is wrong; the keyboard types all the same.
    public private(set) var problem: String?
    /// Called after the bar, the shift key or the problem has changed.
    public var onChange: () -> Void = {}
    public private(set) var statistics = Statistics()

    public var shift: Shift { editor.shift }
    public var text: String { editor.text.string }

    private unowned let host: any HostField
    private let editor: Editor
    private let queue: EngineQueue
    private let mostWaitMs: Double
    private var capitalWords: Set<CodePoints>
    private let sentenceCapitals: Bool
    private var hasEngine = false
    private var shown = Answer(revision: -1)
    private var ticket = 0
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
    ///   - files: of the engine, or nil for a keyboard that only types.
    ///   - options: what for, the personal file among them.
    public convenience init(
        host: any HostField, pack: Pack?, files: KeyboardFiles?, options: SessionOptions = SessionOptions()
    ) {
        var open: (@Sendable () throws -> EngineQueue.Opened)?
        if let files { open = { try EngineQueue.Opened(files, options: options) } }
        self.init(host: host, editor: pack?.editor ?? EditorOptions(), queue: Self.queue, open: open)
    }

    private static let queue = EngineQueue()  // one a process, whatever controllers come and go

    /// - Parameters:
    ///   - open: the engine; nil for none.
    ///   - mostWaitMs: that a key which ends a word waits for the word's bar.
    package init(
        host: any HostField, editor: EditorOptions, queue: EngineQueue, mostWaitMs: Double = 8,
        open: (@Sendable () throws -> EngineQueue.Opened)?
    ) {
        (self.host, self.queue, self.mostWaitMs) = (host, queue, mostWaitMs)
        self.editor = Editor(options: editor)
        (capitalWords, sentenceCapitals) = (editor.capitalWords, editor.sentenceCapitals)
        guard let open else { return }
        queue.open(open) { state in
            Task { @MainActor [weak self] in self?.opened(state) }
        }
    }

    /// A key was touched.
    public func press(_ character: String, tap: Tap? = nil) {
        let begun = Turn.seconds()
        let character = CodePoints(character)
        send(.typed(character, tap: tap, correction: correction(before: character)))
        statistics.add(insertMs: (Turn.seconds() - begun) * 1000)
    }

    /// A finger slid over the keys: the word goes into the field as soon as it is read, what else it may have meant onto the bar.
    ///
    /// - Returns: false, and nothing is done, where the finger stayed on its key, or there is nothing that could read its path.
    public func swipe(_ path: [PathPoint]) -> Bool {
        guard hasEngine, !editor.isPrivate, (try? SwipePath.isTap(path)) == false else { return false }
        if identifier == nil { hostChanged() }
        var request = Request(editor.beforeSwiped)
        (request.shift, request.revision, request.path) = (editor.shiftOfSwiped, revision, path)
        ticket = queue.answer(request) { answer in
            Task { @MainActor [weak self] in self?.read(answer) }
        }
        return true
    }

    private func read(_ answer: Answer) {
        guard answer.revision == revision, let word = answer.slots.first else { return }  // too late, or a scribble
        statistics.add(answer)
        send(.swiped(word.text), others: answer)
    }

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

    /// Moves the cursor by so many characters, as far as the host shows any.
    public func moveCursor(by steps: Int) {
        let passed = steps < 0 ? (host.before ?? "").suffix(-steps) : (host.after ?? "").prefix(steps)
        guard !passed.isEmpty else { return }
        let sign = steps < 0 ? -1 : 1, place = editor.cursor + sign * CodePoints(String(passed)).count
        isEditing = true
        host.move(by: sign * passed.utf16.count)
        isEditing = false
        guard (0...editor.text.count).contains(place) else { return hostChanged() }
        settle(editor.apply(.cursorMoved(place)), isElsewhere: true)  // said by us: nothing that a host says late
    }

    public func pressShift(twice: Bool = false) {
        send(.shiftPressed(lock: twice))
    }

    /// Puts a word of the bar into the field.
    public func accept(_ place: Int) {
        guard bar.slots.indices.contains(place), bar.revision == revision else { return }
        let slot = bar.slots[place]
        send(.slotAccepted(slot.text, replaced: slot.replaced))
    }

    /// Puts the text ahead of the cursor into the field, all of it or its first word.
    public func acceptGhost(onlyWord: Bool) {
        guard let ghost = bar.ghost, bar.revision == revision else { return }
        send(.ghostAccepted(ghost.text, onlyWord: onlyWord))
    }

    /// The host says that its text or selection is another, or that another field has the keyboard.
    public func hostChanged() {
        guard !isEditing else { return }
        if host.identifier != identifier {
            identifier = host.identifier
            (isSuspect, isLate, history) = (false, false, [])
            editor.options.sentenceCapitals = sentenceCapitals && host.mayCapitalise
            queue.fieldStarted()
            settle(editor.apply(.fieldStarted(CodePoints(host.before ?? ""), isPrivate: host.isPrivate)), isElsewhere: true)
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
        settle(editor.apply(.textChanged(shown + after, cursor: shown.count)), isElsewhere: true)
    }

    /// The keyboard goes away: the last word is learned, and memory given back.
    public func disappear() {
        queue.learn(editor.apply(.fieldStarted()).finished)
        identifier = nil
        shown = Answer(revision: -1)
        queue.sleep()
    }

    /// The words that were learned, those used most first.
    public func learnedWords() async throws -> [String] {
        try await queue.personal { $0.heaviestWords().map(\.string) }
    }

    /// Forgets a word and what followed it.
    public func forget(_ word: String) async throws {
        _ = try await queue.personal { try $0.forget(CodePoints(word)) }
        revision += 1  // the bar that is there may hold it
        ask()
    }

    /// Forgets all that was learned.
    public func eraseLearned() async throws {
        try await queue.personal { try $0.clear() }
        revision += 1
        ask()
    }

    /// Types all that was learned into the field, as JSON lines; nothing is learned from that.
    public func typeLearned() async throws {
        let archive = try await queue.personal { try $0.archive() }
        isEditing = true
        host.insert(archive)
        isEditing = false
        hostChanged()
    }

    private var mayCorrect: Bool { host.mayCorrect && !isSuspect }

    // What the end of a word that is typed now would change; the word's bar is waited for, but not for long.
    private func correction(before character: CodePoints) -> Correction? {
        guard hasEngine, mayCorrect, let first = character.first, !TypingRules.isWordCharacter(first),
            !TypingRules.isApostrophe(first), !editor.word.isEmpty
        else { return nil }
        if shown.revision != revision {
            guard let answer = queue.wait(for: ticket, atMostMs: mostWaitMs) else {
                statistics.numMissed += 1
                return nil
            }
            show(answer)
        }
        return shown.correction
    }

    private func send(_ event: Event, others: Answer? = nil) {
        if identifier == nil { hostChanged() }
        editor.options.capitalWords = mayCorrect ? capitalWords : []
        editor.options.sentenceCapitals = sentenceCapitals && host.mayCapitalise
        let before = editor.before, after = editor.text.suffix(from: editor.cursor)
        history = history.suffix(Self.numRemembered - 1) + [before]
        let edit = editor.apply(event)
        guard perform(edit) else {
            statistics.numRefused += 1
            isSuspect = true
            let shown = CodePoints(host.before ?? "")
            // The host is right about its own text: what it shows, and of ours what it may have cut off.
            let known = before.hasSuffix(shown) ? before : shown
            _ = editor.apply(.textChanged(known + after, cursor: known.count))
            return settle(Edit(), isElsewhere: true)
        }
        switch event {
        case .typed, .backspaced, .shiftPressed: settle(edit, isElsewhere: false)
        default: settle(edit, isElsewhere: true, others: others)
        }
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

    // Learns what an event has finished, and asks for the bar of the field as it stands.
    private func settle(_ edit: Edit, isElsewhere: Bool, others: Answer? = nil) {
        queue.learn(edit.finished)
        if let undone = edit.undone {
            capitalWords.remove(Normaliser.normalise(undone.literal))
            if !editor.isPrivate { queue.takeBack(undone) }
        }
        revision += 1
        if isElsewhere { shown = Answer(revision: -1) }  // another place: nothing has to stay where it was
        bar = Bar(revision: revision)
        if let others {  // behind a swiped word the bar holds what else may have been meant
            shown = others.behind(swiped: editor.hasAutoSpace, revision: revision)
            bar.slots = shown.slots
            return onChange()
        }
        onChange()
        ask()
    }

    private func ask() {
        guard hasEngine, !editor.isPrivate else { return }
        var request = Request(editor.before)
        (request.taps, request.shift, request.revision) = (editor.taps, editor.shift, revision)
        request.mayCorrect = editor.wordEndsHere && mayCorrect
        ticket = queue.answer(request) { answer in
            Task { @MainActor [weak self] in self?.arrived(answer) }
        }
    }

    private func arrived(_ answer: Answer) {
        guard answer.revision == revision, shown.revision != revision else { return }  // too late, or shown already
        show(answer)
        onChange()
    }

    private func show(_ answer: Answer) {
        guard answer.revision == revision else { return }
        statistics.add(answer)
        shown = answer.fitted(to: editor, shown: shown.slots)
        bar = Bar(slots: shown.slots, ghost: shown.ghost, revision: revision)
    }

    private func opened(_ state: EngineQueue.State) {
        problem = state.problem
        if let words = state.capitalWords {
            hasEngine = true
            capitalWords = words
        }
        onChange()
        ask()
    }
}
