import Foundation
import KeyboardLM

/// Answers questions about single laws of the engine, so that another implementation can be compared with this one.
///
/// A question is a line of JSON with `law` and its arguments, an answer a line of JSON. Texts are arrays of code points: lone
/// surrogates have no place in JSON strings.
struct Laws {
    private let tokenizer: Tokenizer
    private let folder: URL
    private let precision: Precision
    private var backend: CPUBackend?
    private var predictor: Predictor?

    init(folder: URL, precision: Precision) throws {
        (self.folder, self.precision) = (folder, precision)
        tokenizer = try Tokenizer(folder: folder)
    }

    mutating func answer() throws {
        var lines = ObjectLines("a question, {\"law\": \"...\"}")
        while let question = try lines.next() {
            guard let law = question["law"] as? String else { throw Usage("a question is an object with a law") }
            print(try jsonLine(try answer(law, question)))
        }
    }

    private mutating func answer(_ law: String, _ question: [String: Any]) throws -> [String: Any] {
        let text = CodePoints((question["text"] as? [Int] ?? []).map { UInt32($0) })
        let ids = question["ids"] as? [Int] ?? []
        switch law {
        case "text_form":
            let form = tokenizer.form.encode(text), typed = tokenizer.form.splitTyped(text)
            return [
                "form": numbers(form), "restored": numbers(tokenizer.form.decode(form)),
                "messages": typed.messages.map { $0.map(numbers) }, "partial": numbers(typed.partial),
                "starts_sentence": typed.startsSentence, "space_before": typed.spaceBefore,
            ]
        case "tokens": return ["ids": tokenizer.encode(tokenizer.form.encode(text).words())]
        case "logits":
            let network = try network()
            return ["logits": try network.prefill(ids).map(Double.init)]
        case "tree":
            let network = try network(), parents = question["parents"] as? [Int] ?? []
            return ["logits": try network.scoreTree(ids, parents: parents).map { $0.map(Double.init) }]
        case "predictor":
            if predictor == nil { predictor = try Predictor(folder: folder) }
            let found = try predictor!.suggest(text.string)
            return ["texts": found.map(\.text), "probabilities": found.map(\.probability)]
        case "editor": return ["states": try editorStates(question["events"] as? [[String: Any]] ?? [])]
        case "personal": return try PersonalLaw(question).answers(question["steps"] as? [[Any]] ?? [])
        default: throw Usage("no law \(law)")
        }
    }

    // What each event makes of one field, begun empty.
    private func editorStates(_ events: [[String: Any]]) throws -> [[String: Any]] {
        let editor = Editor(form: tokenizer.form)
        return try events.map { fields in
            let edit = editor.apply(try event(fields))
            return [
                "text": numbers(editor.text), "cursor": editor.cursor, "shift": editor.shift.rawValue,
                "word": numbers(editor.word), "auto_space": editor.hasAutoSpace, "taps": editor.taps.map { $0 != nil },
                "deleted_before": numbers(edit.deletedBefore), "deleted_after": numbers(edit.deletedAfter),
                "inserted": numbers(edit.inserted),
                "correction": edit.correction.map { [numbers($0.replaced), numbers($0.text)] } ?? [],
                "undone": edit.undone.map { [numbers($0.literal), numbers($0.corrected)] } ?? [],
                "finished": edit.finished.map { [numbers($0.word), numbers($0.context), $0.isMeant] as [Any] },
            ]
        }
    }

    private func event(_ fields: [String: Any]) throws -> Event {
        func text(_ name: String) -> CodePoints? {
            (fields[name] as? [Int]).map { CodePoints($0.map { UInt32($0) }) }
        }
        let flag = fields["flag"] as? Bool ?? false, cursor = fields["cursor"] as? Int ?? 0
        switch fields["event"] as? String {
        case "typed":
            let correction = text("replaced").map { Correction(replaced: $0, text: text("better") ?? "") }
            return .typed(text("text") ?? "", tap: flag ? Tap(x: 0.5, y: 1.5) : nil, correction: correction)
        case "backspaced": return .backspaced
        case "shift_pressed": return .shiftPressed(lock: flag)
        case "slot_accepted": return .slotAccepted(text("text") ?? "", replaced: text("replaced"))
        case "ghost_accepted": return .ghostAccepted(text("text") ?? "", onlyWord: flag)
        case "cursor_moved": return .cursorMoved(cursor)
        case "text_changed": return .textChanged(text("text") ?? "", cursor: cursor)
        case "field_started": return .fieldStarted(text("text") ?? "", isPrivate: flag)
        default: throw Usage("no such event")
        }
    }

    private mutating func network() throws -> CPUBackend {
        if let backend { return backend }
        let loaded = try CPUBackend(folder: folder, precision: precision)
        backend = loaded
        return loaded
    }

    private func numbers(_ text: CodePoints) -> [Int] { text.values.map { Int($0) } }
}
