import KeyboardLM
import UIKit

/// A page of keys, drawn by hand, with touches of its own: every point belongs to a key, a touch shows at once, and types
/// where it is lifted; a second finger commits the first.
final class KeysView: UIView {
    var onKey: (KeyGeometry.Key, Tap) -> Void = { _, _ in }
    /// A finger slid over letters; false where it was a tap all the same.
    var onPath: ([PathPoint]) -> Bool = { _ in false }
    var onGlobe: (UIView, UIEvent) -> Void = { _, _ in }
    /// A finger slid along the space bar: the cursor is to move by so many characters.
    var onCursor: (Int) -> Void = { _ in }
    /// Shift was pressed a second time at once.
    var onShiftLock: () -> Void = {}
    var shift = Shift.off { didSet { if shift != oldValue { setNeedsDisplay() } } }
    var showsGlobe = true { didSet { if showsGlobe != oldValue { rebuild() } } }

    private var layout: Layout?
    private var page = KeyGeometry.Page.letters
    private var geometry: KeyGeometry?
    private var pressed: (touch: UITouch, key: KeyGeometry.Key)?
    private var path: [PathPoint] = []  // of the finger that is down, where it came down on a letter
    private var cursorFrom: Double?  // where a finger on the space bar was when the cursor moved last, in key widths
    private var hasMovedCursor = false
    private var shiftedAt = -1.0  // seconds
    private var repeating: Timer?  // of the delete key
    private static let lockWithin = 0.35, firstRepeat = 0.5, nextRepeat = 0.1  // seconds
    private static let cursorStep = 0.3  // key widths a character

    override init(frame: CGRect) {
        super.init(frame: frame)
        isMultipleTouchEnabled = true
        backgroundColor = .of(.panel)  // painted: transparent points get no touches
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
        geometry?.frame(of: key, in: bounds.size) ?? .zero
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
        guard let geometry else { return }
        for key in geometry.keys {
            let box = geometry.drawn(key, in: bounds.size)
            UIColor.of(pressed?.key.label == key.label ? .pressedKey : KeyboardLook.colour(of: key)).setFill()
            UIBezierPath(roundedRect: box, cornerRadius: KeyboardLook.cornerRadius).fill()
            let face = KeyboardLook.face(of: key, shift: shift)
            face.draw(size: KeyboardLook.faceSize(face), .text, middle: CGPoint(x: box.midX, y: box.midY))
        }
    }

    override func touchesBegan(_ touches: Set<UITouch>, with event: UIEvent?) {
        for touch in touches {
            commit()  // the finger before
            guard let key = geometry?.key(at: tap(touch)) else { continue }
            pressed = (touch, key)
            path = key.hasPlace && key.action != .type(" ") ? [point(touch)] : []
            (cursorFrom, hasMovedCursor) = (key.action == .type(" ") ? tap(touch).x : nil, false)
            if key.action == .backspace { repeatLater(key, tap(touch), after: Self.firstRepeat) }
            if key.action == .nextKeyboard, let event { onGlobe(self, event) }
        }
        setNeedsDisplay()
    }

    override func touchesMoved(_ touches: Set<UITouch>, with event: UIEvent?) {
        guard let pressed, touches.contains(pressed.touch) else { return }
        if !path.isEmpty { path.append(point(pressed.touch)) }
        guard let from = cursorFrom else { return }
        let steps = ((tap(pressed.touch).x - from) / Self.cursorStep).rounded(.towardZero)
        guard steps != 0 else { return }
        (cursorFrom, hasMovedCursor) = (from + steps * Self.cursorStep, true)
        onCursor(Int(steps))
    }

    // Deletes again and again for as long as the finger is down.
    private func repeatLater(_ key: KeyGeometry.Key, _ place: Tap, after seconds: Double) {
        repeating?.invalidate()
        repeating = Timer.scheduledTimer(withTimeInterval: seconds, repeats: false) { [weak self] _ in
            MainActor.assumeIsolated {
                guard let self, self.pressed?.key.action == .backspace else { return }
                self.onKey(key, place)
                self.repeatLater(key, place, after: Self.nextRepeat)
            }
        }
    }

    override func touchesEnded(_ touches: Set<UITouch>, with event: UIEvent?) {
        guard let pressed, touches.contains(pressed.touch) else { return }
        commit()
        setNeedsDisplay()
    }

    override func touchesCancelled(_ touches: Set<UITouch>, with event: UIEvent?) {
        pressed = nil
        repeating?.invalidate()
        setNeedsDisplay()
    }

    private func commit() {
        guard let pressed else { return }
        self.pressed = nil
        repeating?.invalidate()
        if hasMovedCursor { return }
        if path.count > 1, onPath(path) { return }
        if pressed.key.action == .shift {
            let now = pressed.touch.timestamp
            if now - shiftedAt < Self.lockWithin { return onShiftLock() }
            shiftedAt = now
        }
        onKey(pressed.key, tap(pressed.touch))
    }
}
