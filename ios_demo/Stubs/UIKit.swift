// Names of UIKit as far as the keyboard uses them, for type-checking on systems without it. Nothing here runs.
// Source of names and least versions: the iOS SDK's public declarations; see api.json.
@_exported import Foundation

@MainActor open class UIResponder: NSObject {
    open func touchesBegan(_ touches: Set<UITouch>, with event: UIEvent?) {}
    open func touchesMoved(_ touches: Set<UITouch>, with event: UIEvent?) {}
    open func touchesEnded(_ touches: Set<UITouch>, with event: UIEvent?) {}
    open func touchesCancelled(_ touches: Set<UITouch>, with event: UIEvent?) {}
}

@MainActor open class UITouch: NSObject {
    open var timestamp: TimeInterval { 0 }
    open func location(in view: UIView?) -> CGPoint { .zero }
}

@MainActor open class UIEvent: NSObject {}

@MainActor open class UIView: UIResponder {
    public enum ContentMode { case redraw }

    public init(frame: CGRect) {}
    public required init?(coder: NSCoder) {}
    public convenience override init() { self.init(frame: .zero) }
    open var bounds: CGRect = .zero
    open var isMultipleTouchEnabled = false
    open var isHidden = false
    open var backgroundColor: UIColor?
    open var contentMode = ContentMode.redraw
    open var translatesAutoresizingMaskIntoConstraints = true
    open var isAccessibilityElement = false
    open var accessibilityLabel: String?
    open var accessibilityElements: [Any]?
    open func setNeedsDisplay() {}
    open func draw(_ rect: CGRect) {}
    open func addSubview(_ view: UIView) {}
    open var topAnchor: NSLayoutYAxisAnchor { fatalError() }
    open var bottomAnchor: NSLayoutYAxisAnchor { fatalError() }
    open var leadingAnchor: NSLayoutXAxisAnchor { fatalError() }
    open var trailingAnchor: NSLayoutXAxisAnchor { fatalError() }
    open var heightAnchor: NSLayoutDimension { fatalError() }
}

@MainActor public class NSLayoutAnchor<Axis>: NSObject {
    public func constraint(equalTo anchor: NSLayoutAnchor<Axis>) -> NSLayoutConstraint { fatalError() }
}

public final class Horizontal: NSObject {}
public final class Vertical: NSObject {}
public typealias NSLayoutXAxisAnchor = NSLayoutAnchor<Horizontal>
public typealias NSLayoutYAxisAnchor = NSLayoutAnchor<Vertical>

@MainActor public class NSLayoutDimension: NSObject {
    public func constraint(equalToConstant constant: CGFloat) -> NSLayoutConstraint { fatalError() }
}

@MainActor public class NSLayoutConstraint: NSObject {
    public class func activate(_ constraints: [NSLayoutConstraint]) {}
}

@MainActor open class UIViewController: UIResponder {
    open var view: UIView! { fatalError() }
    open func viewDidLoad() {}
    open func viewDidAppear(_ animated: Bool) {}
    open func viewWillDisappear(_ animated: Bool) {}
}

@MainActor open class UIInputViewController: UIViewController {
    open var textDocumentProxy: any UITextDocumentProxy { fatalError() }
    open var needsInputModeSwitchKey: Bool { false }
    open func handleInputModeList(from view: UIView, with event: UIEvent) {}
    open func textDidChange(_ textInput: (any UITextInput)?) {}
    open func selectionDidChange(_ textInput: (any UITextInput)?) {}
}

@MainActor public protocol UITextInput {}

@MainActor public protocol UIKeyInput {
    func insertText(_ text: String)
    func deleteBackward()
}

@MainActor public protocol UITextInputTraits {
    var isSecureTextEntry: Bool? { get }
    var textContentType: UITextContentType?? { get }
    var autocorrectionType: UITextAutocorrectionType? { get }
    var autocapitalizationType: UITextAutocapitalizationType? { get }
}

public struct UITextContentType: Equatable, Sendable {
    public static let password = UITextContentType()
    public static let newPassword = UITextContentType()
    public static let oneTimeCode = UITextContentType()
}

public enum UITextAutocorrectionType: Sendable { case `default`, no, yes }

public enum UITextAutocapitalizationType: Sendable { case none, words, sentences, allCharacters }

@MainActor public protocol UITextDocumentProxy: UIKeyInput, UITextInputTraits {
    var documentContextBeforeInput: String? { get }
    var documentContextAfterInput: String? { get }
    var selectedText: String? { get }
    var documentIdentifier: UUID { get }
    func adjustTextPosition(byCharacterOffset offset: Int)
}

public final class UIColor: NSObject, Sendable {
    public convenience init(dynamicProvider: @escaping @Sendable (UITraitCollection) -> UIColor) { self.init() }
    public static let systemGray = UIColor()
    public static let systemGray2 = UIColor()
    public static let systemGray3 = UIColor()
    public static let systemGray4 = UIColor()
    public static let systemGray5 = UIColor()
    public static let systemBackground = UIColor()
    public static let label = UIColor()
    public func setFill() {}
}

public enum UIUserInterfaceStyle: Sendable { case unspecified, light, dark }

public final class UITraitCollection: NSObject, Sendable {
    public var userInterfaceStyle: UIUserInterfaceStyle { .light }
}

public final class UIFont: NSObject {
    public class func systemFont(ofSize size: CGFloat) -> UIFont { UIFont() }
}

@MainActor public final class UIBezierPath: NSObject {
    public convenience init(roundedRect rect: CGRect, cornerRadius: CGFloat) { self.init() }
    public func fill() {}
}

public struct UIAccessibilityTraits: Sendable {
    public static let keyboardKey = UIAccessibilityTraits()
}

@MainActor open class UIAccessibilityElement: NSObject {
    public init(accessibilityContainer container: Any) {}
    open var accessibilityLabel: String?
    open var accessibilityTraits = UIAccessibilityTraits.keyboardKey
    open var accessibilityFrameInContainerSpace: CGRect = .zero
}

extension NSAttributedString.Key {
    public static let font = NSAttributedString.Key("NSFont")
    public static let foregroundColor = NSAttributedString.Key("NSColor")
}

extension NSAttributedString {
    public func size() -> CGSize { .zero }
    public func draw(at point: CGPoint) {}
}
