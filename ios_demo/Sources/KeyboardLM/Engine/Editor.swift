/// What of a text field depends on the language and on taste.
public struct EditorOptions: Sendable {
    /// Words, in small letters, that get a capital when they are finished.
    public var capitalWords: Set<CodePoints> = ["i", "i'm", "i've", "i'll", "i'd"]
    /// What the first of two spaces becomes; empty leaves it.
    public var fullStop: CodePoints = "."
    public var sentenceCapitals = true

    public init() {}
}

/// Which letters the keys show: small ones, capitals for the next one, capitals.
public enum Shift: String, Sendable { case off, on, lock }

/// One text field under a keyboard: spaces, capitals, corrections, undo. It never changes what the engine offers.
///
/// `keyboard_lm/keyboard/editor.py` is the law; names and order follow it.
public final class Editor {
    public private(set) var text: CodePoints = ""
    public private(set) var cursor = 0
    public private(set) var isPrivate = false
    public var options: EditorOptions

    private enum ShiftState { case automatic, off, once, lock }
    private enum Maker { case typed, automatic }

    // What the next backspace puts in the place of `inserted`, which ends at the cursor.
    private struct Undo {
        let inserted: CodePoints
        let restored: CodePoints
        let taps: [Tap?]
        let space: (place: Int, maker: Maker)?
        var undone: Undone?
    }

    private let form: TextForm
    private var pending: (start: Int, end: Int, word: FinishedWord)?  // the last finished word, not yet reported
    private var reported: [FinishedWord] = []
    private var shiftState = ShiftState.automatic
    private var kept: Set<Int> = []  // starts of words that are not to be corrected
    private var typedFrom = 0  // what is between here and the cursor was typed without going elsewhere
    private var lastTaps: [Tap?] = []  // of the last characters before the cursor
    private var space: (place: Int, maker: Maker)?  // the last space, while nothing before it changes
    private var undo: Undo?
    private var swiped: (start: Int, end: Int)?  // the word just swiped, which the next backspace takes away

    package init(options: EditorOptions = EditorOptions(), form: TextForm = TextForm()) {
        self.options = options
        self.form = form
    }

    /// The text before the cursor.
    public var before: CodePoints { text.prefix(cursor) }

    /// The whole word under the cursor; empty between words and in front of one.
    public var word: CodePoints { text[TypingRules.wordSpan(text, cursor)] }

    /// Whether no letter of the word under the cursor is behind it.
    public var wordEndsHere: Bool { TypingRules.wordSpan(text, cursor).upperBound == cursor }

    /// Where the last characters before the cursor were touched, at least those of the word under it.
    public var taps: [Tap?] {
        let missing = cursor - TypingRules.wordSpan(text, cursor).lowerBound - lastTaps.count
        return [Tap?](repeating: nil, count: max(missing, 0)) + lastTaps
    }

    public var shift: Shift {
        switch shiftState {
        case .automatic:
            let line = TypingRules.lineBefore(text, cursor)
            return options.sentenceCapitals && TypingRules.startsSentence(line, form) ? .on : .off
        case .once: return .on
        case .off: return .off
        case .lock: return .lock
        }
    }

    /// The text before a word that is swiped now: a space more where one is wanted.
    package var beforeSwiped: CodePoints { before + lead }

    /// What `shift` is there.
    package var shiftOfSwiped: Shift {
        guard case .automatic = shiftState, !lead.isEmpty else { return shift }
        let line = TypingRules.lineBefore(beforeSwiped, cursor + 1)
        return options.sentenceCapitals && TypingRules.startsSentence(line, form) ? .on : .off
    }

    /// Whether the space before the cursor came with an accepted word, to go again before punctuation.
    public var hasAutoSpace: Bool { space.map { $0.place == cursor - 1 && $0.maker == .automatic } ?? false }

    /// Returns whether the end of a word typed now would apply a correction.
    public func allows(_ correction: Correction) -> Bool {
        let start = cursor - correction.replaced.count
        guard !correction.replaced.isEmpty, correction.replaced != correction.text, before.hasSuffix(correction.replaced),
            wordEndsHere, TypingRules.wordSpan(text, start).lowerBound == start
        else { return false }
        return !isPart(start) && !kept.contains { start <= $0 && $0 < cursor }
    }

    /// Brings the field to where an event leaves it, and returns what the keyboard has to do for that.
    public func apply(_ event: Event) -> Edit {
        reported = []
        var edit = Edit()
        if let word = swiped {
            swiped = nil
            if event != .backspaced || undo == nil { finish(word.start, word.end) }
        }
        switch event {
        case .typed(let character, let tap, let correction): edit = type(character, tap, correction)
        case .swiped(let word): edit = swipe(word)
        case .backspaced: edit = backspace()
        case .shiftPressed(let lock):
            if shift == (lock ? .lock : .off) {
                shiftState = lock ? .off : .once
            } else {
                shiftState = lock ? .lock : .off
            }
        case .slotAccepted(let word, let replaced): edit = acceptSlot(word, replaced)
        case .ghostAccepted(let ghost, let onlyWord): edit = acceptGhost(ghost, onlyWord)
        case .cursorMoved(let offset):
            let place = min(max(offset, 0), text.count)
            if place != cursor {
                let span = TypingRules.wordSpan(text, cursor)
                leave(isWordLeft: !(span.lowerBound <= place && place <= span.upperBound))
                self.place(place)
            }
        case .textChanged(let changed, let offset):
            let place = min(max(offset, 0), changed.count)
            if changed != text || place != cursor {
                leave(isWordLeft: changed.isEmpty)  // an emptied field was sent
                restart(changed, place)
            }
        case .fieldStarted(let started, let isPrivate):
            leave(isWordLeft: true)
            self.isPrivate = isPrivate
            shiftState = .automatic
            restart(started, started.count)
        }
        edit.finished = reported
        return edit
    }

    private func restart(_ text: CodePoints, _ cursor: Int) {
        self.text = text
        kept = []
        place(cursor)
    }

    private func place(_ cursor: Int) {
        self.cursor = cursor
        typedFrom = cursor
        lastTaps = []
        space = nil
        undo = nil
        releaseShift()
    }

    private func type(_ character: CodePoints, _ tap: Tap?, _ offered: Correction?) -> Edit {
        guard !character.isEmpty else { return Edit() }
        let character = cased(character)
        releaseShift()
        let at = cursor, taps = lastTaps + [tap]
        let isSpace = character == " "
        if isSpace && hasAutoSpace {
            (space, undo) = ((at - 1, .typed), nil)
            return Edit()
        }
        keepIfInside()
        var edit: Edit
        if isSpace && endsSentence() {
            let fullStop = options.fullStop + character
            edit = splice(at - 1, at, fullStop)
            undo = Undo(inserted: fullStop, restored: "  ", taps: taps, space: (at, .typed))
        } else if hasAutoSpace && TypingRules.attaches(TypingRules.lineBefore(text, at - 1), character, form) {
            edit = splice(at - 1, at, character, tap)
            undo = Undo(inserted: character, restored: " ", taps: taps.dropLast(), space: (at - 1, .automatic))
        } else {
            let ended = endedWord(character)
            if let ended, let correction = self.correction(ended, offered) {
                let start = at - correction.replaced.count
                edit = splice(start, at, correction.text + character, tap)
                edit.correction = correction
                undo = Undo(
                    inserted: edit.inserted, restored: correction.replaced + character, taps: taps,
                    space: isSpace ? (at, .typed) : nil,
                    undone: Undone(literal: correction.replaced, corrected: correction.text))
                finish(start, cursor)
            } else {
                edit = splice(at, at, character, tap)
                if let ended { finish(ended.lowerBound, ended.upperBound) }
            }
        }
        if isSpace { space = (cursor - 1, .typed) }
        keepIfInside()
        return edit
    }

    private func backspace() -> Edit {
        guard let undo else {
            keepIfInside()
            let edit = splice(Graphemes.clusterStart(text, cursor), cursor, "")
            keepIfInside()
            return edit
        }
        let start = cursor - undo.inserted.count
        var edit = splice(start, cursor, undo.restored)
        edit.undone = undo.undone
        lastTaps = undo.taps.suffix(Self.maxTaps)
        space = undo.space
        if undo.undone != nil { keep(start) }
        if !undo.restored.isEmpty { finish(TypingRules.wordSpan(text, start).lowerBound, cursor) }
        return edit
    }

    private func swipe(_ word: CodePoints) -> Edit {
        guard !word.isEmpty else { return Edit() }
        keepIfInside()
        let at = cursor, taps = lastTaps, space = self.space
        let span = TypingRules.wordSpan(text, at)
        let endsHere = !span.isEmpty && span.upperBound == at
        // A half-typed word stays as it is, for it cannot be put back; but "i" becomes "I" as before any space.
        let own = endsHere ? correction(span, nil) : nil
        let first = at - (own?.replaced.count ?? 0)
        let put = lead + word
        var edit = insertSpaced(first, at, (own?.text ?? "") + put)
        undo = Undo(inserted: edit.inserted.suffix(from: at - first), restored: "", taps: taps, space: space)
        if endsHere { finish(span.lowerBound, span.upperBound) }
        let begins = at + put.count - word.count
        swiped = (begins, begins + word.count)
        edit.correction = own
        return edit
    }

    // What stands between the text before the cursor and a word that is no part of the one under it.
    private var lead: CodePoints {
        let isInside = TypingRules.wordSpan(text, cursor).lowerBound < cursor
        return isInside || TypingRules.needsSpace(TypingRules.lineBefore(text, cursor), form) ? " " : ""
    }

    private func acceptSlot(_ word: CodePoints, _ replaced: CodePoints?) -> Edit {
        guard !word.isEmpty else { return Edit() }
        let span = TypingRules.wordSpan(text, cursor)
        var (start, end) = (span.lowerBound, span.upperBound)
        if let replaced, replaced.isEmpty {
            if end == cursor { finish(start, end) }  // the word under the cursor stays
            (start, end) = (cursor, cursor)
        } else if let replaced, before.hasSuffix(replaced) {
            let first = cursor - replaced.count
            if TypingRules.wordSpan(text, first).lowerBound == first && first < start { start = first }
        }
        let needsLead = start == end && TypingRules.needsSpace(TypingRules.lineBefore(text, cursor), form)
        return insertAccepted(start, end, needsLead ? " " + word : word, wordsFrom: start)
    }

    private func acceptGhost(_ ghost: CodePoints, _ onlyWord: Bool) -> Edit {
        var first = 0
        while first < ghost.count, CharacterClass.isSpace(ghost[first]) { first += 1 }
        guard first < ghost.count else { return Edit() }
        var stop = first
        while stop < ghost.count, !CharacterClass.isSpace(ghost[stop]) { stop += 1 }
        if !onlyWord {
            stop = ghost.count
            while CharacterClass.isSpace(ghost[stop - 1]) { stop -= 1 }
        }
        let span = TypingRules.wordSpan(text, cursor)
        let end = CharacterClass.isSpace(ghost[0]) ? cursor : span.upperBound
        return insertAccepted(cursor, end, ghost.prefix(stop), wordsFrom: span.lowerBound)
    }

    private func insertAccepted(_ start: Int, _ end: Int, _ inserted: CodePoints, wordsFrom: Int) -> Edit {
        let edit = insertSpaced(start, end, inserted)
        keep(wordsFrom)
        finish(wordsFrom, cursor - 1)
        return edit
    }

    // With a space behind it, unless something stands there that needs none.
    private func insertSpaced(_ start: Int, _ end: Int, _ inserted: CodePoints) -> Edit {
        let after = text[end..<end + 1]
        let isApart =
            after.first.map { next in
                !CharacterClass.isLineBreak(next)
                    && (CharacterClass.isSpace(next) || TypingRules.attaches(inserted, after, form))
            } ?? false
        // "a" before "'tis", "3" before ".5": what attaches as a mark would make one word with what is behind it.
        let joined = TypingRules.wordSpan(inserted + text[end..<end + 2], inserted.count)
        let runsOn = joined.upperBound > inserted.count
        let hasTrail = !(isApart && !runsOn) && !CharacterClass.isSpace(inserted[inserted.count - 1])
        let edit = splice(start, end, hasTrail ? inserted + 0x20 : inserted)
        if hasTrail { space = (cursor - 1, .automatic) }
        releaseShift()
        return edit
    }

    // Replaces text around the cursor and moves along what is remembered by its place.
    private func splice(_ start: Int, _ end: Int, _ inserted: CodePoints, _ tap: Tap? = nil) -> Edit {
        let edit = Edit(deletedBefore: text[start..<cursor], deletedAfter: text[cursor..<max(end, cursor)], inserted: inserted)
        let longer = inserted.count - (end - start)
        kept = Set(kept.lazy.filter { !(start <= $0 && $0 < end) }.map { $0 >= end ? $0 + longer : $0 })
        lastTaps = lastTaps.dropLast(min(cursor - start, lastTaps.count))
        if !inserted.isEmpty {
            lastTaps += [Tap?](repeating: nil, count: inserted.count - 1) + [tap]
        }
        lastTaps = lastTaps.suffix(Self.maxTaps)
        text.values.replaceSubrange(start..<end, with: inserted.values)
        cursor = start + inserted.count
        typedFrom = min(typedFrom, start)
        undo = nil
        if let last = space, start <= last.place { space = nil }
        if let waiting = pending {
            let isLeft = start >= waiting.end && waiting.end < cursor
            if !isLeft || TypingRules.wordSpan(text, cursor).lowerBound == waiting.start { pending = nil }
        }
        return edit
    }

    // The word before the cursor that a character ends. A full stop after a digit or a single letter ("3.5", "e.g.") does not
    // tell yet; the space after it does.
    private func endedWord(_ character: CodePoints) -> Range<Int>? {
        let at = cursor, first = character[0]
        if TypingRules.isWordCharacter(first) || TypingRules.isApostrophe(first) || Self.addressMarks.contains(first)
            || TypingRules.wordSpan(text, at).upperBound > at
        {
            return nil
        }
        let end = CharacterClass.isSpace(first) && at > 0 && text[at - 1] == 0x2E ? at - 1 : at
        let start = TypingRules.wordSpan(text, end).lowerBound
        if start == end { return nil }
        let isNumber = CharacterClass.isDecimal(text[end - 1])
        let isShort = isNumber || end - start == 1
        if end < at { return isShort && (start == 0 || text[start - 1] != 0x2E) ? start..<end : nil }
        return (isNumber && TypingRules.isNumberMark(first)) || (isShort && first == 0x2E) ? nil : start..<end
    }

    private func correction(_ ended: Range<Int>, _ offered: Correction?) -> Correction? {
        if let offered, allows(offered) { return offered }
        let word = text[ended], rest = text[ended.upperBound..<cursor]
        let own = Correction(replaced: word + rest, text: TextForm.capitalise(word) + rest)
        return options.capitalWords.contains(Normaliser.normalise(word)) && allows(own) ? own : nil
    }

    private func keep(_ start: Int) {
        for word in TypingRules.words(text, start, cursor) { kept.insert(word.lowerBound) }
    }

    private func keepIfInside() {
        let span = TypingRules.wordSpan(text, cursor)
        if span.upperBound > cursor { kept.formUnion([span.lowerBound, cursor]) }
    }

    // Words between the two offsets that were typed here wait to be reported, each for the next.
    private func finish(_ start: Int, _ end: Int) {
        for word in TypingRules.words(text, start, end) {
            let isWaiting = pending?.start == word.lowerBound
            if word.upperBound > end || word.upperBound <= typedFrom || isWaiting || isPart(word.lowerBound) || isPrivate {
                continue
            }
            report()
            let context = TypingRules.lineBefore(text, word.lowerBound)
            let finished = FinishedWord(word: text[word], context: context, isMeant: kept.contains(word.lowerBound))
            pending = (word.lowerBound, word.upperBound, finished)
        }
    }

    private func leave(isWordLeft: Bool) {
        let span = TypingRules.wordSpan(text, cursor)
        if isWordLeft && span.upperBound == cursor { finish(span.lowerBound, span.upperBound) }
        report()
    }

    private func report() {
        if let pending { reported.append(pending.word) }
        pending = nil
    }

    private func releaseShift() {
        if shiftState != .lock { shiftState = .automatic }
    }

    private func cased(_ character: CodePoints) -> CodePoints {
        guard character.count == 1 else { return character }
        let upper = CharacterClass.upper(character[0])
        return upper.count == 1 && upper != character && shift != .off ? upper : character
    }

    // Whether one more space makes the one before the cursor a full stop.
    private func endsSentence() -> Bool {
        let at = cursor - 1
        guard !options.fullStop.isEmpty, at >= 1, let last = space, last.place == at, last.maker == .typed else { return false }
        let c = text[Graphemes.clusterStart(text, at)]
        if Self.closing.contains(c) { return true }
        switch CharacterClass.generalCategory(c) {
        case .uppercaseLetter, .lowercaseLetter, .titlecaseLetter, .modifierLetter, .otherLetter, .decimalNumber,
            .letterNumber, .otherNumber:
            return true
        default: return false
        }
    }

    // Whether a word is behind a mark that joins the parts of an address.
    private func isPart(_ start: Int) -> Bool {
        start > 0 && (Self.addressMarks.contains(text[start - 1]) || text[start - 1] == 0x2E)
    }

    private static let maxTaps = 64
    private static let addressMarks: Set<UInt32> = Set("@#/\\_".unicodeScalars.map(\.value))
    private static let closing: Set<UInt32> = Set(")]}\"'\u{2019}\u{201D}\u{BB}%".unicodeScalars.map(\.value))
}
