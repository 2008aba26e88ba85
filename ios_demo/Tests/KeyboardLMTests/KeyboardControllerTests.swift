import Foundation
import Testing

import KeyboardLM
import KeyboardLMToy

/// A field of another app that lies as real ones do.
@MainActor
final class FakeHost: HostField {
    enum Lie { case none, cutToSentence, hidesText, late, refuses }

    var text = ""
    var cursor = 0  // in characters
    var lie = Lie.none
    var identifier = "first"
    var isPrivate = false
    var mayCorrect = true
    var mayCapitalise = true
    var selected: String?
    private var old: String?

    var truth: String { String(text.prefix(cursor)) }

    var before: String? {
        switch lie {
        case .none, .refuses: return truth
        case .hidesText: return nil
        case .cutToSentence:
            guard let end = truth.range(of: ". ", options: .backwards) else { return truth }
            return String(truth[end.upperBound...])
        case .late: return old ?? truth
        }
    }
    var after: String? { String(text.dropFirst(cursor)) }

    func insert(_ inserted: String) {
        old = truth
        let start = text.index(text.startIndex, offsetBy: cursor)
        text.insert(contentsOf: inserted, at: start)
        cursor += inserted.count
    }

    func deleteBackward() {
        guard lie != .refuses else { return }
        old = truth
        if let selected, !selected.isEmpty {
            text = text.replacingOccurrences(of: selected, with: "")
            cursor = min(cursor, text.count)
            self.selected = nil
        } else if cursor > 0 {
            text.remove(at: text.index(text.startIndex, offsetBy: cursor - 1))
            cursor -= 1
        }
    }

    func move(by offset: Int) { cursor = min(max(cursor + offset, 0), text.count) }
}

@MainActor
struct KeyboardControllerTests {
    let host = FakeHost()
    let keyboard: KeyboardController

    init() { keyboard = KeyboardController(host: host, pack: nil, files: nil) }

    private func type(_ text: String) { for character in text { keyboard.press(String(character)) } }

    @Test func lettersArriveWithTheCapitalsOfSentences() {
        type("hello there. how are you")
        #expect(host.text == "Hello there. How are you")
    }

    @Test func aFieldThatWantsNoCapitalsGetsNone() {
        host.mayCapitalise = false
        type("hello there. how")
        #expect(host.text == "hello there. how")
    }

    @Test func theCursorMovesByCharactersAsFarAsThereAreAny() {
        type("Hello")
        keyboard.moveCursor(by: -2)
        type("p")
        #expect(host.text == "Helplo" && keyboard.text == "Helplo", "\(keyboard.text)")
        keyboard.moveCursor(by: 9)
        type("!")
        #expect(host.text == "Helplo!")
        keyboard.moveCursor(by: -99)
        #expect(host.cursor == 0)
    }

    @Test func twoSpacesEndASentenceAndBackspaceTakesThatBack() {
        type("ok  ")
        #expect(host.text == "Ok. ")
        keyboard.backspace()
        #expect(host.text == "Ok  ")
    }

    @Test func aHostThatShowsOnlyASentenceIsBelievedToHoldTheRest() {
        type("One two. three")
        host.lie = .cutToSentence
        keyboard.hostChanged()
        #expect(keyboard.text == "One two. Three")
        keyboard.backspace()
        #expect(host.text == "One two. Thre")
    }

    @Test func nothingIsDeletedThatTheHostDoesNotShow() {
        type("hello  ")
        host.text = "Bye"
        host.cursor = 3
        keyboard.backspace()  // would take a full stop back
        #expect(host.text == "Bye")
        #expect(keyboard.statistics.numRefused == 1)
        type("!")
        #expect(host.text == "Bye!")
    }

    @Test func oldNewsIsNotBelievedAtOnce() {
        type("hel")
        host.lie = .late
        type("l")
        keyboard.hostChanged()
        #expect(keyboard.text == "Hell")
        host.lie = .none
        type("o")
        #expect(host.text == "Hello")
        #expect(keyboard.text == "Hello")
    }

    @Test func anotherFieldBeginsAnew() {
        type("secret  ")
        host.text = "x"
        host.cursor = 1
        host.identifier = "second"
        keyboard.hostChanged()
        #expect(keyboard.text == "x")
        keyboard.backspace()
        #expect(host.text == "")
    }

    @Test func aSelectionGoesAndNothingIsReplacedUntilTheHostAgrees() {
        type("see you i")
        host.selected = "you "
        keyboard.backspace()
        #expect(host.text == "See i")
        keyboard.hostChanged()
        #expect(keyboard.text == host.text)
    }

    @Test func familiesAndFlagsGoWithOneBackspace() {
        keyboard.press("👩‍👩‍👧")
        keyboard.press("🇩🇪")
        keyboard.backspace()
        #expect(host.text == "👩‍👩‍👧")
        keyboard.backspace()
        #expect(host.text == "")
    }

    /// The same keyboard over the golden files' network; its bars are waited for, however long they take.
    private func opened(_ problem: String? = nil) async throws -> KeyboardController {
        let toy = try ToyKeyboard(), network = toy.network
        let keyboard = KeyboardController(host: host, editor: EditorOptions(), queue: EngineQueue(), mostWaitMs: 20_000) {
            let toy = try ToyKeyboard(), store = try toy.store()
            return EngineQueue.Opened(
                try Suggester(network(), toy.parts, personal: store), store, cost: .free, editor: toy.pack.editor, problem: problem)
        }
        keyboard.hostChanged()
        while keyboard.statistics.barMs.isEmpty { try await Task.sleep(for: .milliseconds(5)) }
        return keyboard
    }

    @Test func aSpaceCorrectsWhatTheBarAnnouncedAndBackspaceTakesThatBack() async throws {
        host.text = "What is "
        host.cursor = 8
        let keyboard = try await opened()
        for letter in ["t", "e", "h", " "] { keyboard.press(letter) }
        let corrected = host.text
        #expect(corrected != "What is teh ")
        keyboard.backspace()
        #expect(host.text == "What is teh ")
        keyboard.press("t")
        for letter in ["e", "h", " "] { keyboard.press(letter) }
        #expect(host.text == "What is teh teh ")
        #expect(keyboard.statistics.numMissed == 0)
    }

    @Test func aHostThatIsSuspectKeepsItsWords() async throws {
        host.text = "What is "
        host.cursor = 8
        let keyboard = try await opened()
        host.selected = ""
        host.lie = .late
        for letter in ["t", "e", "h"] { keyboard.press(letter) }
        keyboard.hostChanged()  // old news: nothing is replaced until the host has agreed
        keyboard.press(" ")
        #expect(host.text == "What is teh ")
    }

    @Test func aWordOfTheBarGoesInWithItsSpace() async throws {
        host.text = "I am go"
        host.cursor = 7
        let keyboard = try await opened("no model")
        #expect(keyboard.problem == "no model")
        let word = try #require(keyboard.bar.slots.first?.text)
        keyboard.accept(0)
        #expect(host.text == "I am \(word) ")
        keyboard.accept(0)  // of the field before: nothing
        #expect(host.text == "I am \(word) ")
    }

    @Test func aWordThatIsDrawnGoesInAndTheBarHoldsWhatElseItMayBe() async throws {
        let golden = try JSONSerialization.jsonObject(with: goldenFile("swipe.json")) as? [String: Any]
        let fields = golden?["sessions"] as? [[String: Any]]
        let step = try #require((fields?.first?["steps"] as? [[String: Any]])?.first)
        let path = (step["path"] as? [[Double]] ?? []).map { PathPoint(x: $0[0], y: $0[1], ms: $0[2]) }
        let others = (step["slots"] as? [[String]] ?? []).map { $0[0] }
        let keyboard = try await opened()
        #expect(!keyboard.swipe([PathPoint(x: 4.5, y: 0.5, ms: 0), PathPoint(x: 4.6, y: 0.5, ms: 50)]))  // a tap
        #expect(keyboard.swipe(path))
        while host.text.isEmpty { try await Task.sleep(for: .milliseconds(5)) }
        #expect(host.text == step["text"] as? String)
        #expect(keyboard.bar.words == others)
        keyboard.accept(0)
        #expect(host.text == others[0] + " ")
    }

    @Test func whatWasLearnedIsListedForgottenTypedAndErased() async throws {
        let keyboard = try await opened()
        for character in "meet them today. bring them. ok " { keyboard.press(String(character)) }
        let learned = try await keyboard.learnedWords()
        let first = try #require(learned.first)
        let fieldBefore = host.text
        try await keyboard.typeLearned()
        let typed = String(host.text.dropFirst(fieldBefore.count))
        let copy = try LearnedWords(path: nil)
        try copy.add(typed)
        #expect(copy.words.contains(first))
        #expect(try copy.forget(first) && !copy.words.contains(first))
        #expect(throws: KeyboardLMError.self) { try copy.add("no archive") }
        try await keyboard.forget(first)
        #expect(try await !keyboard.learnedWords().contains(first))
        try await keyboard.eraseLearned()
        #expect(try await keyboard.learnedWords().isEmpty)
        (host.text, host.cursor, host.identifier) = ("", 0, "second")
        keyboard.hostChanged()
        #expect(try await keyboard.learnedWords().isEmpty)  // of what was typed into the field as JSON, nothing
    }

    @Test func aKeyboardWithoutAnEngineHasLearnedNothingAndSaysSo() async {
        await #expect(throws: KeyboardLMError.self) { try await keyboard.learnedWords() }
    }

    @Test func aFolderOfAnotherModelsFilesStillGivesWordsAndSaysWhatIsWrong() async throws {
        let folder = FileManager.default.temporaryDirectory.appending(path: "foreign-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        let bundled = repositoryFolder("keyboard_lm/bundled")
        for name in ["config.json", "checkpoint.json", "tokenizer.model", "proper_nouns.txt"] {
            try FileManager.default.copyItem(at: bundled.appending(path: name), to: folder.appending(path: name))
        }
        try Data("not the weights".utf8).write(to: folder.appending(path: "model.safetensors"))
        let files = KeyboardFiles(model: folder, words: repositoryFolder("ios_demo/Model"))
        let keyboard = KeyboardController(host: host, editor: EditorOptions(), queue: EngineQueue(), mostWaitMs: 20_000) {
            try EngineQueue.Opened(files, options: SessionOptions())
        }
        while keyboard.problem == nil { try await Task.sleep(for: .milliseconds(5)) }
        #expect(keyboard.problem?.contains("damaged, or of another model") == true)
        for letter in ["t", "e", "h"] { keyboard.press(letter) }
        for _ in 0..<2000 where keyboard.bar.slots.isEmpty { try await Task.sleep(for: .milliseconds(5)) }
        #expect(host.text == "Teh" && !keyboard.bar.slots.isEmpty)
    }

    @Test func whatCannotBeWrittenDownIsSaidAndTheKeyboardGoesOn() async throws {
        let toy = try ToyKeyboard(), network = toy.network
        let path = FileManager.default.temporaryDirectory.appending(path: "full-\(UUID().uuidString).db").path
        let queue = EngineQueue()
        let keyboard = KeyboardController(host: host, editor: EditorOptions(), queue: queue, mostWaitMs: 20_000) {
            let toy = try ToyKeyboard(), store = try PersonalStore(path: path, knows: toy.parts.language.lexicon.isKnown)
            return EngineQueue.Opened(
                try Suggester(network(), toy.parts, personal: store), store, cost: .free, editor: toy.pack.editor)
        }
        keyboard.hostChanged()
        while keyboard.statistics.barMs.isEmpty { try await Task.sleep(for: .milliseconds(5)) }
        let other = try Database(path: path, busyTimeoutMs: 2000)  // another program that does not let go of the file
        _ = try other.run("BEGIN IMMEDIATE")
        defer { other.close() }
        for character in "meet you. " { keyboard.press(String(character)) }
        for _ in 0..<2000 where keyboard.problem == nil { try await Task.sleep(for: .milliseconds(5)) }
        #expect(keyboard.problem?.hasPrefix("not learned: ") == true, "\(keyboard.problem ?? "none")")
        #expect(host.text == "Meet you. ")
    }

    @Test func aPrivateFieldGetsNoBar() async throws {
        host.text = "I am "
        host.cursor = 5
        let keyboard = try await opened()
        (host.identifier, host.isPrivate) = ("second", true)
        keyboard.hostChanged()
        keyboard.press("x")
        #expect(keyboard.bar.slots.isEmpty)
    }

    @Test func withoutItsFilesAKeyboardTypesAndSaysWhatIsWrong() async throws {
        let folder = FileManager.default.temporaryDirectory.appending(path: "keyboard-lm-none")
        let keyboard = KeyboardController(host: host, pack: nil, files: KeyboardFiles(model: folder))
        while keyboard.problem == nil { try await Task.sleep(for: .milliseconds(5)) }
        keyboard.press("a")
        #expect(host.text == "A")
        #expect(keyboard.problem?.contains("pack.json") == true)
    }

    @Test func everyPointBelongsToAKey() {
        let rows = [("qwertyuiop", 0.0), ("asdfghjkl", 0.5), ("zxcvbnm", 1.5)]
        let layout = Layout(
            name: "qwerty", rows: rows.map { Layout.Row(keys: $0.0.map(String.init), left: $0.1) }, spaceLeft: 2.5, spaceWidth: 5)
        let geometry = KeyGeometry(layout)
        #expect(geometry.key(at: Tap(x: 0.5, y: 0.5)).label == "q")
        #expect(geometry.key(at: Tap(x: -3, y: 1.5)).label == "a")  // a gap beside the row
        #expect(geometry.key(at: Tap(x: 5, y: 9)).label == "space")
        #expect(geometry.keys.count == 26 + 6)
        let symbols = KeyGeometry(layout, page: .symbols)
        #expect(symbols.keys.contains { $0.action == .learned } && !symbols.keys.contains { $0.action == .shift })
    }
}
