import KeyboardLM
import UIKit

/// The extension: a bar of words over a page of keys, and the engine behind both.
final class KeyboardViewController: UIInputViewController {
    private var keyboard: KeyboardController?
    private var field: DocumentField?
    private let keys = KeysView()
    private let bar = BarView()

    override func viewDidLoad() {
        super.viewDidLoad()
        let field = DocumentField(self)
        self.field = field
        let pack = Bundle.main.url(forResource: "pack", withExtension: "json").flatMap { try? Pack(file: $0) }
        let keyboard = KeyboardController(host: field, pack: pack, model: Self.modelFolder)
        self.keyboard = keyboard
        keys.show(layout: pack?.layouts["qwerty"], showsGlobe: true)
        keys.onKey = { [weak self] key, tap in self?.pressed(key, tap) }
        keys.onGlobe = { [weak self] view, event in self?.handleInputModeList(from: view, with: event) }
        bar.onWord = { [weak keyboard] place in keyboard?.accept(place) }
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
        case .send: keyboard.press("\n")
        case .nextKeyboard: break  // the key itself hands its touches on
        }
    }

    private func refresh() {
        guard let keyboard else { return }
        keys.shift = keyboard.shift
        bar.show(keyboard.bar.words, problem: keyboard.problem)
    }

    private func addRows() {
        for row in [bar, keys] {
            row.translatesAutoresizingMaskIntoConstraints = false
            view.addSubview(row)
        }
        NSLayoutConstraint.activate([
            bar.topAnchor.constraint(equalTo: view.topAnchor),
            bar.leadingAnchor.constraint(equalTo: view.leadingAnchor),
            bar.trailingAnchor.constraint(equalTo: view.trailingAnchor),
            bar.heightAnchor.constraint(equalToConstant: 44),
            keys.topAnchor.constraint(equalTo: bar.bottomAnchor),
            keys.leadingAnchor.constraint(equalTo: view.leadingAnchor),
            keys.trailingAnchor.constraint(equalTo: view.trailingAnchor),
            keys.bottomAnchor.constraint(equalTo: view.bottomAnchor),
            keys.heightAnchor.constraint(equalToConstant: 216),
        ])
    }

    private static var modelFolder: URL? {
        Bundle.main.url(forResource: "config", withExtension: "json")?.deletingLastPathComponent()
    }
}
