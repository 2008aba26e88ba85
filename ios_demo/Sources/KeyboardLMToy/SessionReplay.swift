import Foundation
import KeyboardLM

/// A session told step by step in the words of the golden files, so that two engines can be compared edit by edit, bar by bar.
///
/// A step is an event (`["Typed", {"char": "a"}]`), a path (`["Swiped", {"path": [[x, y, ms], ...]}]`), or "restart", "look", "late", "at once", "stale" (`tests/golden/scenarios.py`
/// says what they are). Everything is made of JSON's types.
package final class SessionReplay {
    package struct Wrong: Error, CustomStringConvertible {
        package let description: String
    }

    package let store: PersonalStore
    private let open: () throws -> Session
    private var session: Session

    /// - Parameters:
    ///   - store: what is learned; it outlives a restart.
    ///   - open: a session over it.
    package init(_ store: PersonalStore, _ open: @escaping () throws -> Session) throws {
        (self.store, self.open) = (store, open)
        session = try open()
    }

    /// Does a step; the answer holds what became of the field, and the bar where one was asked for.
    package func done(_ step: Any, looks: Bool) throws -> [String: Any] {
        switch step as? String {
        case "restart":
            session.apply(.fieldStarted())
            session = try open()
            return [:]
        case "stale":
            var stale = session.shown
            stale.revision = session.revision - 1
            return ["is_shown": session.show(stale)]
        case "look": return Self.bar(session.suggest())
        case "late": return Self.bar(session.suggest(deadline: -.infinity))
        case "at once": return Self.bar(session.suggestAtOnce())
        case .some(let name): throw Wrong(description: "no step \(name)")
        case nil:
            guard let path = try Self.path(step) else { return told(session.apply(try Self.event(step)), looks) }
            do { return told(try session.swipe(path), looks) } catch is KeyboardLMError { return ["is_refused": true] }
        }
    }

    private func told(_ edit: Edit, _ looks: Bool) -> [String: Any] {
        var told: [String: Any] = [
            "edit": [edit.deletedBefore.string, edit.deletedAfter.string, edit.inserted.string],
            "finished": edit.finished.map { [$0.word.string, $0.context.string, $0.isMeant] as [Any] },
            "undone": edit.undone.map { [$0.literal.string, $0.corrected.string] } as Any? ?? NSNull(),
            "text": session.text.string, "cursor": session.cursor, "shift": session.shift.rawValue,
        ]
        if looks { told.merge(Self.bar(session.suggest())) { $1 } }
        return told
    }

    private static func bar(_ answer: Answer) -> [String: Any] {
        [
            "slots": answer.slots.map { [$0.text.string, $0.kind.rawValue, $0.replaced.string, $0.probability] as [Any] },
            "correction": answer.correction.map { [$0.replaced.string, $0.text.string] } as Any? ?? NSNull(),
            "ghost": answer.ghost.map { [$0.text.string, $0.probability] as [Any] } as Any? ?? NSNull(),
            "stage": answer.stage.rawValue, "calls": answer.numModelCalls,
        ]
    }

    // The path of a step that draws one.
    private static func path(_ step: Any) throws -> [PathPoint]? {
        guard let parts = step as? [Any], parts.count == 2, parts[0] as? String == "Swiped" else { return nil }
        guard let points = (parts[1] as? [String: Any])?["path"] as? [[Double]], points.allSatisfy({ $0.count == 3 }) else {
            throw Wrong(description: "a path is a list of [x, y, milliseconds]")
        }
        return points.map { PathPoint(x: $0[0], y: $0[1], ms: $0[2]) }
    }

    /// The event that a step names.
    package static func event(_ step: Any) throws -> Event {
        guard let parts = step as? [Any], parts.count == 2, let name = parts[0] as? String, let given = parts[1] as? [String: Any]
        else { throw Wrong(description: "a step is a name and its arguments, not \(step)") }
        func text(_ name: String) -> CodePoints? { (given[name] as? String).map { CodePoints($0) } }
        func flag(_ name: String) -> Bool { given[name] as? Bool ?? false }
        let cursor = given["cursor"] as? Int ?? 0
        switch name {
        case "Typed":
            let place = given["tap"] as? [Double]
            guard place == nil || place?.count == 2 else { throw Wrong(description: "a tap is [x, y]") }
            return .typed(text("char") ?? "", tap: place.map { Tap(x: $0[0], y: $0[1]) })
        case "Backspaced": return .backspaced
        case "ShiftPressed": return .shiftPressed(lock: flag("lock"))
        case "SlotAccepted": return .slotAccepted(text("word") ?? "", replaced: text("replaced"))
        case "GhostAccepted": return .ghostAccepted(text("ghost") ?? "", onlyWord: flag("only_word"))
        case "CursorMoved": return .cursorMoved(cursor)
        case "TextChanged": return .textChanged(text("text") ?? "", cursor: cursor)
        case "FieldStarted": return .fieldStarted(text("text") ?? "", isPrivate: flag("is_private"))
        default: throw Wrong(description: "no event \(name)")
        }
    }
}
