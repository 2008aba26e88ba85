import KeyboardLM
import UIKit

/// The text field under the keyboard, as iOS shows it to an extension.
@MainActor
final class DocumentField: HostField {
    private unowned let controller: UIInputViewController

    init(_ controller: UIInputViewController) { self.controller = controller }

    private var proxy: any UITextDocumentProxy { controller.textDocumentProxy }

    var before: String? { proxy.documentContextBeforeInput }
    var after: String? { proxy.documentContextAfterInput }
    var selected: String? { proxy.selectedText }
    var identifier: String { proxy.documentIdentifier.uuidString }

    var isPrivate: Bool {
        if proxy.isSecureTextEntry == true { return true }
        let kind = proxy.textContentType ?? nil
        return kind == .password || kind == .newPassword || kind == .oneTimeCode
    }

    var mayCorrect: Bool { proxy.autocorrectionType != .no }
    var mayCapitalise: Bool { proxy.autocapitalizationType ?? .sentences != .none }

    func insert(_ text: String) { proxy.insertText(text) }
    func deleteBackward() { proxy.deleteBackward() }
    func move(by offset: Int) { proxy.adjustTextPosition(byCharacterOffset: offset) }
}
