import KeyboardLM
import UIKit

extension UIColor {
    /// The system's colour for a part of the keyboard; `KeyboardLook` says the same in numbers.
    static func of(_ colour: KeyboardLook.Colour) -> UIColor {
        switch colour {
        case .panel: .systemGray5
        case .letterKey: UIColor { $0.userInterfaceStyle == .dark ? .systemGray2 : .systemBackground }
        case .otherKey: .systemGray4
        case .pressedKey: .systemGray3
        case .text: .label
        case .ahead: .systemGray
        }
    }
}

extension String {
    /// Draws a line of text around a point.
    @MainActor func draw(size: Double, _ colour: KeyboardLook.Colour, middle: CGPoint) {
        let font = UIFont.systemFont(ofSize: size)
        let text = NSAttributedString(string: self, attributes: [.font: font, .foregroundColor: UIColor.of(colour)])
        let size = text.size()
        text.draw(at: CGPoint(x: middle.x - size.width / 2, y: middle.y - size.height / 2))
    }
}
