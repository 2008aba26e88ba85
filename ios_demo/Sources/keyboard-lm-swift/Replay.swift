import Foundation
import KeyboardLM
import KeyboardLMToy

/// Replays sessions told as JSON lines: what one engine has been asked, another answers, for the two to be compared.
///
/// A line is `{"steps": [...]}` as `SessionReplay` has them, and what opens the session: `looks` (a bar behind each event),
/// `device`, `budget_ms`, `personal` (a file; none for memory), `toy` (the golden files' network instead of the model). The answer
/// is a line with what became of each step, of what was learned, and of what was taken back.
struct Replay {
    private let engine: KeyboardEngine
    private let files: KeyboardFiles
    private let config: ModelConfig
    private let precision: Precision
    private var network: (any Backend)?
    private var lines = ObjectLines("a session, {\"steps\": [...]}")

    init(_ files: KeyboardFiles, options: SessionOptions) throws {
        (self.files, precision) = (files, options.precision)
        engine = try KeyboardEngine(files, options: options)
        config = try ModelConfig(file: files.model.appending(path: "config.json"))
    }

    mutating func run() throws {
        while let asked = try lines.next() {
            print(try lines.named { try jsonLine(answer(asked)) })
            fflush(nil)  // whoever asks line by line waits for it
        }
    }

    private mutating func answer(_ asked: [String: Any]) throws -> [String: Any] {
        var seconds = -600.0
        let store = try PersonalStore(
            path: asked["personal"] as? String,
            clock: {
                seconds += 600
                return seconds
            }, knows: engine.parts.language.lexicon.isKnown)
        let backend = try self.backend(isToy: asked["toy"] as? Bool ?? false)
        let looks = asked["looks"] as? Bool ?? true
        let replay = try SessionReplay(store) { [engine] in
            try engine.session(backend(), store, device: asked["device"] as? String, budgetMs: asked["budget_ms"] as? Double)
        }
        guard let asked = asked["steps"] as? [Any] else { throw KeyboardLMError("a session has steps, a list") }
        let steps = try asked.map { try replay.done($0, looks: looks) }
        let words = store.heaviestWords().map(\.string)
        let blocks = store.blocks.map { [$0.literal.string, $0.corrected.string] }
        let warnings = store.warnings
        store.close()
        return ["steps": steps, "words": words, "taken_back": blocks, "warnings": warnings]
    }

    private mutating func backend(isToy: Bool) throws -> () -> any Backend {
        if isToy {
            let (scores, length) = (engine.parts.tokenizer.model.scores, config.maxContextLength)
            return { ToyNetwork(scores: scores, maxContextLength: length) }
        }
        let network = try self.network ?? CPUBackend(checking: files.model, precision: precision)
        self.network = network
        return { network }
    }
}
