/// Where an answer is for: the field, what is known of the words before the cursor, and the turn it may use.
struct Place {
    let request: Request
    /// The field's text as the text form splits it.
    let typed: TypedText
    let turn: Turn
    /// What the network says before the word under the cursor, or the next one; nil where it cannot be asked.
    let boundary: Boundary?
    /// What the writer's own words say there; nil where that is nothing.
    let view: PersonalView?

    /// The word under the cursor as typed; empty between words.
    var word: CodePoints { typed.partial }

    /// The same without a capital that the keyboard put there.
    var prefix: CodePoints {
        typed.startsSentence && !word.isEmpty ? Case.fold(word.prefix(1)) + word.suffix(from: 1) : word
    }

    var kind: Slot.Kind { word.isEmpty ? .nextWord : .completion }

    /// A word as it would be inserted here: with the capitals that were typed, or those that a next word gets.
    func written(_ text: CodePoints) -> CodePoints { word.isEmpty ? asNext(text) : Self.asTyped(text, word) }

    /// A next word with the capitals that the shift key, or the beginning of a sentence, gives it.
    func asNext(_ text: CodePoints) -> CodePoints {
        switch request.shift {
        case .lock: Case.upper(text)
        case .on: TextForm.capitalise(text)
        case .off: text
        case nil: typed.startsSentence ? TextForm.capitalise(text) : text
        }
    }

    /// A word with the capitals that were typed: the first letter's, or all of them.
    static func asTyped(_ text: CodePoints, _ typed: CodePoints) -> CodePoints {
        if CharacterClass.isAllUpper(typed), typed.values.count(where: CharacterClass.isAlpha) > 1 {  // not "I'"
            return Case.upper(text)
        }
        return typed.first.map(CharacterClass.isUpper) == true ? TextForm.capitalise(text) : text
    }
}
