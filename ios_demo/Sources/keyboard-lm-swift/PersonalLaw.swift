import Foundation
import KeyboardLM

/// Does to one personal file what a question says, and answers what the file says of it: the store's half of a comparison.
struct PersonalLaw {
    private let store: PersonalStore
    private let clock: Clock

    private final class Clock {
        var now = 0.0
    }

    /// - Parameter question: `path` of the file (none for memory), `known` words, `now` in seconds, options of the store.
    init(_ question: [String: Any]) throws {
        let clock = Clock(), known = Set((question["known"] as? [String] ?? []).map { CodePoints($0) })
        var options = PersonalOptions()
        if let halfLife = question["half_life_words"] as? Double { options.halfLifeWords = halfLife }
        if let most = question["max_ngrams"] as? Int { options.maxNgrams = most }
        if let most = question["quarantine_words"] as? Int { options.quarantineWords = most }
        clock.now = question["now"] as? Double ?? 0
        self.clock = clock
        store = try PersonalStore(
            path: question["path"] as? String, options: options, clock: { clock.now }, knows: known.contains)
    }

    /// The answers to the steps, each a list whose first place says what to do, and the warnings.
    func answers(_ steps: [[Any]]) throws -> [String: Any] {
        let found = try steps.map(answer)
        let warnings = store.warnings
        store.close()
        return ["answers": found, "warnings": warnings]
    }

    private func answer(_ step: [Any]) throws -> Any {
        func text(_ place: Int) -> CodePoints { CodePoints(step[place] as? String ?? "") }
        func texts(_ place: Int) -> [CodePoints] { (step[place] as? [String] ?? []).map { CodePoints($0) } }
        switch step.first as? String {
        case "learn":
            let source = PersonalStore.Source(rawValue: step[3] as? String ?? "") ?? .typed
            clock.now = step[4] as? Double ?? clock.now
            store.learn(texts(1), after: texts(2), source: source)
            return NSNull()
        case "block":
            store.block(text(1), text(2))
            return NSNull()
        case "unblock":
            try store.unblock(text(1), text(2))
            return NSNull()
        case "forget": return try store.forget(text(1))
        case "clear":
            try store.clear()
            return NSNull()
        case "view":
            guard let view = store.view(texts(1)) else { return NSNull() }
            let mixed = texts(3).map { view.mix(0.01, $0) }
            return [view.weight, view.candidates(text(2), 5).map(\.string), mixed] as [Any]
        case "words": return store.heaviestWords().map(\.string)
        case "known": return texts(1).map { [store.isKnown($0), store.isProtected($0)] }
        case "blocks": return store.blocks.map { [$0.literal.string, $0.corrected.string, store.isBlocked($0.literal, $0.corrected)] }
        case "shortcut":
            try store.shortcuts.add([(text(1), text(2))])
            return NSNull()
        case "expand": return store.shortcuts.text(text(1))?.string as Any? ?? NSNull()
        case "archive": return try store.archive()
        case "add":
            try store.add(archive: step[1] as? String ?? "")
            return NSNull()
        default: throw Usage("a store does not know how to \(step.first ?? "")")
        }
    }
}
