import KeyboardLM
import UIKit

/// The extension: a bar of words over a page of keys, and the engine behind both.
final class KeyboardViewController: UIInputViewController {
    private var keyboard: KeyboardController?
    private var field: DocumentField?
    private let keys = KeysView()
    private let bar = BarView()
    private let learned = LearnedView()

    override func viewDidLoad() {
        super.viewDidLoad()
        let field = DocumentField(self)
        self.field = field
        let pack = Bundle.main.url(forResource: "pack", withExtension: "json").flatMap { try? Pack(file: $0) }
        let keyboard = KeyboardController(host: field, pack: pack, files: Self.files, options: Self.options)
        self.keyboard = keyboard
        keys.show(layout: pack?.layouts["qwerty"], showsGlobe: true)
        keys.onKey = { [weak self] key, tap in self?.pressed(key, tap) }
        keys.onPath = { [weak keyboard] path in keyboard?.swipe(path) ?? false }
        keys.onCursor = { [weak keyboard] steps in keyboard?.moveCursor(by: steps) }
        keys.onShiftLock = { [weak keyboard] in keyboard?.pressShift(twice: true) }
        keys.onGlobe = { [weak self] view, event in self?.handleInputModeList(from: view, with: event) }
        bar.onWord = { [weak keyboard] place in keyboard?.accept(place) }
        bar.onGhost = { [weak keyboard] onlyWord in keyboard?.acceptGhost(onlyWord: onlyWord) }
        learned.onAction = { [weak self] action in self?.perform(action) }
        keyboard.onChange = { [weak self] in self?.refresh() }
        addRows()
        refresh()
    }

    override func viewDidAppear(_ animated: Bool) {
        super.viewDidAppear(animated)
        keys.showsGlobe = needsInputModeSwitchKey  // known only now
        keyboard?.hostChanged()
    }

    override func viewWillDisappear(_ animated: Bool) {
        super.viewWillDisappear(animated)
        learned.isHidden = true
        keyboard?.disappear()
    }

    override func textDidChange(_ textInput: (any UITextInput)?) { keyboard?.hostChanged() }
    override func selectionDidChange(_ textInput: (any UITextInput)?) { keyboard?.hostChanged() }

    private func pressed(_ key: KeyGeometry.Key, _ tap: Tap) {
        guard let keyboard else { return }
        switch key.action {
        case .type(let character): keyboard.press(character, tap: key.hasPlace ? tap : nil)
        case .backspace: keyboard.backspace()
        case .shift: keyboard.pressShift()
        case .page: keys.turnPage()
        case .learned: showLearned()
        case .send: keyboard.press("\n")
        case .nextKeyboard: break  // the key itself hands its touches on
        }
    }

    private func refresh() {
        guard let keyboard else { return }
        keys.shift = keyboard.shift
        bar.show(keyboard.bar.words, ghost: keyboard.bar.ghost?.text.string, problem: keyboard.problem)
    }

    private func showLearned() {
        guard let keyboard else { return }
        Task {
            do {
                learned.show(LearnedPanel(words: try await keyboard.learnedWords()))
            } catch {
                learned.show(LearnedPanel(words: [], problem: "\(error)"))
            }
            learned.isHidden = false
        }
    }

    private func perform(_ action: LearnedPanel.Action) {
        guard let keyboard else { return }
        Task {
            do {
                switch action {
                case .close: learned.isHidden = true
                case .forget(let word): try await keyboard.forget(word)
                case .eraseAll: try await keyboard.eraseLearned()
                case .typeAll:
                    try await keyboard.typeLearned()
                    learned.isHidden = true
                }
                if !learned.isHidden { showLearned() }
            } catch {
                learned.show(LearnedPanel(words: [], problem: "\(error)"))
            }
        }
    }

    private func addRows() {
        for row in [bar, keys, learned] {
            row.translatesAutoresizingMaskIntoConstraints = false
            view.addSubview(row)
        }
        NSLayoutConstraint.activate([
            bar.topAnchor.constraint(equalTo: view.topAnchor),
            bar.leadingAnchor.constraint(equalTo: view.leadingAnchor),
            bar.trailingAnchor.constraint(equalTo: view.trailingAnchor),
            bar.heightAnchor.constraint(equalToConstant: KeyboardLook.barHeight),
            keys.topAnchor.constraint(equalTo: bar.bottomAnchor),
            keys.leadingAnchor.constraint(equalTo: view.leadingAnchor),
            keys.trailingAnchor.constraint(equalTo: view.trailingAnchor),
            keys.bottomAnchor.constraint(equalTo: view.bottomAnchor),
            keys.heightAnchor.constraint(equalToConstant: KeyboardLook.keysHeight),
            learned.topAnchor.constraint(equalTo: bar.bottomAnchor),
            learned.leadingAnchor.constraint(equalTo: view.leadingAnchor),
            learned.trailingAnchor.constraint(equalTo: view.trailingAnchor),
            learned.bottomAnchor.constraint(equalTo: view.bottomAnchor),
        ])
    }

    private static var files: KeyboardFiles? {
        Bundle.main.url(forResource: "config", withExtension: "json").map { KeyboardFiles(model: $0.deletingLastPathComponent()) }
    }

    // What is learned lies in the extension's own container: a lock held in a shared one while asleep gets a process killed.
    // Keyboards appear on the lock screen, hence "until first unlock".
    private static var options: SessionOptions {
        var options = SessionOptions()
        options.precision = .rounded  // a third of the time; Core ML's weights, which take over, are of 4 bits
        options.version = Bundle.main.object(forInfoDictionaryKey: "CFBundleVersion") as? String ?? ""
        let support = FileManager.default.urls(for: .applicationSupportDirectory, in: .userDomainMask)
        guard let folder = support.first?.appending(path: "keyboard-lm") else { return options }
        let protection: [FileAttributeKey: Any] = [.protectionKey: FileProtectionType.completeUntilFirstUserAuthentication]
        try? FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true, attributes: protection)
        options.personal = folder.appending(path: "learned.db").path
        return options
    }
}
