import KeyboardLM
import UIKit

/// A page of keys, drawn by hand, with touches of its own: every point belongs to a key, a touch shows at once, and types
/// where it is lifted; a second finger commits the first.
final class KeysView: UIView {
    var onKey: (KeyGeometry.Key, Tap) -> Void = { _, _ in }
    /// A finger slid over letters; false where it was a tap all the same.
    var onPath: ([PathPoint]) -> Bool = { _ in false }
    var onGlobe: (UIView, UIEvent) -> Void = { _, _ in }
    var shift = Shift.off { didSet { if shift != oldValue { setNeedsDisplay() } } }
    var showsGlobe = true { didSet { if showsGlobe != oldValue { rebuild() } } }

    private var layout: Layout?
    private var page = KeyGeometry.Page.letters
    private var geometry: KeyGeometry?
    private var pressed: (touch: UITouch, key: KeyGeometry.Key)?
    private var path: [PathPoint] = []  // of the finger that is down, where it came down on a letter

    override init(frame: CGRect) {
        super.init(frame: frame)
        isMultipleTouchEnabled = true
        backgroundColor = .systemGray5  // painted: transparent points get no touches
        contentMode = .redraw
    }

    required init?(coder: NSCoder) { return nil }

    func show(layout: Layout?, showsGlobe: Bool) {
        self.layout = layout
        self.showsGlobe = showsGlobe
        rebuild()
    }

    func turnPage() {
        page = page == .letters ? .symbols : .letters
        rebuild()
    }

    private func rebuild() {
        geometry = layout.map { KeyGeometry($0, page: page, showsGlobe: showsGlobe) }
        isAccessibilityElement = false
        accessibilityElements = geometry?.keys.map { key in
            let element = UIAccessibilityElement(accessibilityContainer: self)
            element.accessibilityLabel = key.label
            element.accessibilityTraits = .keyboardKey
            element.accessibilityFrameInContainerSpace = frame(of: key)
            return element
        }
        setNeedsDisplay()
    }

    private func frame(of key: KeyGeometry.Key) -> CGRect {
        guard let geometry else { return .zero }
        let (width, height) = (bounds.width / geometry.columns, bounds.height / Double(geometry.rows))
        return CGRect(
            x: key.left * width, y: key.top * height, width: (key.right - key.left) * width, height: height)
    }

    private func tap(_ touch: UITouch) -> Tap {
        let point = touch.location(in: self)
        guard let geometry, bounds.width > 0, bounds.height > 0 else { return Tap(x: 0, y: 0) }
        return Tap(x: point.x / bounds.width * geometry.columns, y: point.y / bounds.height * Double(geometry.rows))
    }

    private func point(_ touch: UITouch) -> PathPoint {
        let place = tap(touch)
        return PathPoint(x: place.x, y: place.y, ms: touch.timestamp * 1000)
    }

    override func draw(_ rect: CGRect) {
        for key in geometry?.keys ?? [] {
            let frame = self.frame(of: key).insetBy(dx: 3, dy: 5)
            let isPressed = pressed?.key.label == key.label
            let isLetter = if case .type = key.action { true } else { false }
            (isPressed ? UIColor.systemGray3 : isLetter ? .systemBackground : .systemGray4).setFill()
            UIBezierPath(roundedRect: frame, cornerRadius: 6).fill()
            let face = shift != .off && key.label.count == 1 ? key.label.uppercased() : key.label
            let font = UIFont.systemFont(ofSize: key.label.count == 1 ? 22 : 14)
            let text = NSAttributedString(string: face, attributes: [.font: font, .foregroundColor: UIColor.label])
            let size = text.size()
            text.draw(at: CGPoint(x: frame.midX - size.width / 2, y: frame.midY - size.height / 2))
        }
    }

    override func touchesBegan(_ touches: Set<UITouch>, with event: UIEvent?) {
        for touch in touches {
            commit()  // the finger before
            guard let key = geometry?.key(at: tap(touch)) else { continue }
            pressed = (touch, key)
            path = key.hasPlace && key.action != .type(" ") ? [point(touch)] : []
            if key.action == .nextKeyboard, let event { onGlobe(self, event) }
        }
        setNeedsDisplay()
    }

    override func touchesMoved(_ touches: Set<UITouch>, with event: UIEvent?) {
        guard let pressed, touches.contains(pressed.touch), !path.isEmpty else { return }
        path.append(point(pressed.touch))
    }

    override func touchesEnded(_ touches: Set<UITouch>, with event: UIEvent?) {
        guard let pressed, touches.contains(pressed.touch) else { return }
        commit()
        setNeedsDisplay()
    }

    override func touchesCancelled(_ touches: Set<UITouch>, with event: UIEvent?) {
        pressed = nil
        setNeedsDisplay()
    }

    private func commit() {
        guard let pressed else { return }
        self.pressed = nil
        if path.count > 1, onPath(path) { return }
        onKey(pressed.key, tap(pressed.touch))
    }
}
