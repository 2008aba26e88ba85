import Foundation

/// How the keyboard looks: sizes in points, colours by role, what stands on a key. The extension's views draw by it, and so does
/// its picture.
public enum KeyboardLook {
    public static let barHeight = 44.0
    public static let keysHeight = 216.0
    public static let cornerRadius = 6.0
    /// Left free on each side of a key; a touch there is the key's all the same.
    public static let gap = (across: 3.0, down: 5.0)
    public static let wordSize = 17.0
    public static let problemSize = 12.0

    /// What a colour is for; `hex` is what the system gives it.
    public enum Colour: CaseIterable, Sendable {
        case panel, letterKey, otherKey, pressedKey, text, ahead

        /// The system's colour by that name, in light and dark mode.
        package var hex: (light: String, dark: String) {
            switch self {
            case .panel: ("#e5e5ea", "#2c2c2e")  // systemGray5
            case .letterKey: ("#ffffff", "#636366")  // systemBackground, and systemGray2 in the dark
            case .otherKey: ("#d1d1d6", "#3a3a3c")  // systemGray4
            case .pressedKey: ("#c7c7cc", "#48484a")  // systemGray3
            case .text: ("#000000", "#ffffff")  // label
            case .ahead: ("#8e8e93", "#8e8e93")  // systemGray
            }
        }
    }

    public static func colour(of key: KeyGeometry.Key) -> Colour {
        if case .type = key.action { .letterKey } else { .otherKey }
    }

    /// What stands on a key: letters as they are typed, a sign for what has no letter.
    public static func face(of key: KeyGeometry.Key, shift: Shift) -> String {
        switch key.action {
        case .shift:
            switch shift {
            case .off: "\u{21E7}"
            case .on: "\u{2B06}\u{FE0E}"
            case .lock: "\u{21EA}"
            }
        case .backspace: "\u{232B}"
        case .nextKeyboard: "\u{1F310}"
        default: shift != .off && key.label.count == 1 ? key.label.uppercased() : key.label
        }
    }

    /// Of what stands on a key.
    public static func faceSize(_ face: String) -> Double { face.count == 1 ? 22 : 14 }

    /// What the bar's cells hold, side by side: the words and the text ahead, or else what is wrong.
    public static func cells(_ words: [String], ahead: String?, problem: String?) -> [(text: String, size: Double, colour: Colour)] {
        let cells = words.map { ($0, wordSize, Colour.text) } + (ahead.map { [($0, wordSize, Colour.ahead)] } ?? [])
        return cells.isEmpty ? problem.map { [($0, problemSize, Colour.text)] } ?? [] : cells
    }
}

extension KeyGeometry {
    /// Where a key is on a page of a size, gaps around it included.
    public func frame(of key: Key, in size: CGSize) -> CGRect {
        let (width, height) = (Double(size.width) / columns, Double(size.height) / Double(rows))
        return CGRect(x: key.left * width, y: key.top * height, width: (key.right - key.left) * width, height: height)
    }

    /// What of it is drawn.
    public func drawn(_ key: Key, in size: CGSize) -> CGRect {
        frame(of: key, in: size).insetBy(dx: KeyboardLook.gap.across, dy: KeyboardLook.gap.down)
    }
}

extension Slot {
    /// The word as the bar writes it: what was typed stands in quotes.
    public var written: String { kind == .literal ? "\u{201C}\(text)\u{201D}" : text.string }
}
