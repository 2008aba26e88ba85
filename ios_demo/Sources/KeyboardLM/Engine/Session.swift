import Foundation

/// A keyboard: told what happens to it, it says what to do to the text and what the bar shows.
///
/// One keyboard over one text field after another, to be used from one thread. What happens goes in by `apply`, which answers at
/// once; the bar comes from `suggest`. A key that ends a word before there was a bar for it gets its correction first, as `suggest`
/// would give it. `keyboard_lm/keyboard/session.py` is the law.
public final class Session {
    /// How many events there have been.
    public private(set) var revision = 0
    /// The bar as it stands; of an older revision until `suggest` is called.
    public private(set) var shown = Answer(revision: -1)
    package let personal: PersonalStore
    private let suggester: Suggester
    private let editor: Editor
    private let cost: CallCost
    private let budgetMs: Double
    private let timer: () -> Double
    private var problems: [String] = []
    private var swipedAt = -1  // the revision at which the bar holds what else a path may have meant
    private static let maxProblems = 20

    /// - Parameters:
    ///   - suggester: makes the bar.
    ///   - personal: learns.
    ///   - cost: of the network's calls on the device.
    ///   - budgetMs: for each answer, on the device.
    ///   - editor: what the text field does by itself.
    ///   - timer: seconds that only go forward, which deadlines are instants of.
    package init(
        _ suggester: Suggester, _ personal: PersonalStore, cost: CallCost, budgetMs: Double = CallCost.budgetMs,
        editor: EditorOptions = EditorOptions(), timer: @escaping () -> Double = Turn.seconds
    ) {
        (self.suggester, self.personal, self.cost, self.budgetMs, self.timer) = (suggester, personal, cost, budgetMs, timer)
        var options = editor
        options.capitalWords = options.capitalWords.filter { !personal.isBlocked($0, TextForm.capitalise($0)) }
        self.editor = Editor(options: options, form: suggester.form)
    }

    public var text: CodePoints { editor.text }
    public var cursor: Int { editor.cursor }
    public var shift: Shift { editor.shift }
    public var isPrivate: Bool { editor.isPrivate }
    /// What went wrong without stopping anything.
    public var warnings: [String] { personal.warnings + problems }

    /// Whether a word is never offered.
    public func isOffensive(_ word: CodePoints) -> Bool { suggester.isOffensive(word) }

    /// Brings the field to where an event leaves it, learns what that finished, and returns what to do to the text.
    @discardableResult
    public func apply(_ event: Event) -> Edit {
        var event = event
        if case .typed(let character, let tap, nil) = event, mayEndWord(character) {
            event = .typed(character, tap: tap, correction: pending())
        }
        let edit = editor.apply(event)
        revision += 1
        switch event {
        case .typed, .backspaced, .shiftPressed: break
        default: shown = Answer(revision: -1)  // another place: nothing has to stay where it was
        }
        if let undone = edit.undone { takeBack(undone) }
        for word in edit.finished { personal.learn(word, suggester.form) }
        return edit
    }

    /// Reads the path of a finger and puts the word into the field; the bar holds what else it may have meant.
    ///
    /// A path that stays on one key is that key; one that no word fits changes nothing.
    /// - Throws: `KeyboardLMError` where no finger can have drawn it; nothing has changed.
    @discardableResult
    public func swipe(_ path: [PathPoint]) throws -> Edit {
        if try SwipePath.isTap(path) {
            let tap = Tap(x: path[0].x, y: path[0].y)
            return suggester.layout.key(at: tap).map { apply(.typed(CodePoints($0), tap: tap)) } ?? Edit()
        }
        _ = try Track(path, on: suggester.layout)  // what else is thrown is the network's
        var request = Request(editor.beforeSwiped)
        (request.shift, request.revision, request.path) = (editor.shiftOfSwiped, revision, path)
        let answer = answer(request, Turn(cost: cost, budgetMs: budgetMs, clock: timer))
        guard let word = answer.slots.first else { return Edit() }
        let edit = apply(.swiped(word.text))
        (shown, swipedAt) = (answer.behind(swiped: editor.hasAutoSpace, revision: revision), revision)
        return edit
    }

    /// The field as it stands, to be answered elsewhere; give the answer to `show`.
    package var request: Request {
        var request = Request(editor.before)
        request.taps = editor.taps
        request.shift = editor.shift
        request.mayCorrect = editor.wordEndsHere
        request.revision = revision
        return request
    }

    /// Returns the bar for the field as it stands, and shows it.
    ///
    /// - Parameters:
    ///   - deadline: an instant on the timer; what is known then is the answer.
    ///   - isStale: asked before each call whether somebody still waits for the answer.
    @discardableResult
    public func suggest(deadline: Double? = nil, isStale: (() -> Bool)? = nil) -> Answer {
        if shown.revision == revision && (shown.stage == .full || swipedAt == revision) { return shown }
        show(answer(request, Turn(cost: cost, budgetMs: budgetMs, deadline: deadline, clock: timer, isStale: isStale)))
        return shown
    }

    /// Returns, and shows, the bar that needs no call of the network: lexicon, what was learned, what is cached.
    @discardableResult
    public func suggestAtOnce() -> Answer {
        show(answer(request, Turn(cost: cost, budgetMs: 0, clock: timer)))
        return shown
    }

    /// Puts an answer on the bar, words that stay in their places; false where it comes too late, or behind a swiped word.
    @discardableResult
    public func show(_ answer: Answer) -> Bool {
        guard answer.revision == revision, swipedAt != revision else { return false }
        shown = answer.fitted(to: editor, shown: shown.slots)
        return true
    }

    /// Drops what the network has computed for earlier texts; nothing that was learned.
    public func forget() { suggester.forget() }

    /// Learns the last word and closes the personal file.
    public func close() {
        apply(.fieldStarted())
        personal.close()
        forget()
    }

    // The bar of a turn; where the network fails, the bar without it, and a line that says so.
    private func answer(_ request: Request, _ turn: Turn) -> Answer {
        do {
            return try suggester.answer(request, turn)
        } catch {
            let problem = "the model is not asked: \(error)"
            if !problems.contains(problem) { problems = problems.suffix(Self.maxProblems - 1) + [problem] }
            suggester.forget()
            return (try? suggester.answer(request, .noCalls())) ?? Answer(stage: .personalAndLexicon, revision: revision)
        }
    }

    private func pending() -> Correction? { shown.revision != revision ? suggest().correction : shown.correction }

    private func mayEndWord(_ character: CodePoints) -> Bool {
        guard let first = character.first else { return false }
        return !TypingRules.isWordCharacter(first) && !TypingRules.isApostrophe(first) && !editor.word.isEmpty
    }

    private func takeBack(_ undone: Undone) {
        guard personal.shortcuts.text(undone.literal) == nil else { return }  // the letters this once; they still stand for it
        editor.options.capitalWords.remove(Normaliser.normalise(undone.literal))
        if !editor.isPrivate { personal.block(undone.literal, undone.corrected) }
    }
}

extension PersonalStore {
    /// Learns a word that the writer has left standing.
    func learn(_ finished: FinishedWord, _ form: TextForm) {
        let text = Normaliser.normalise(finished.context + finished.word)
        let tokens = form.encodeTokens(text).map { TextForm.splitMarks($0).1 }
        guard let last = tokens.last else { return }
        learn([last], after: Array(tokens.dropLast()), source: finished.isMeant ? .accepted : .typed)
    }
}
