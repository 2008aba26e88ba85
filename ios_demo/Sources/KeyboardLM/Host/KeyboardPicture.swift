import Foundation

/// The keyboard as an SVG picture: the same keys, places, sizes and faces that the extension draws.
package struct KeyboardPicture {
    private let geometry: KeyGeometry
    private let shift: Shift
    private let words: [String]
    private let ahead: String?
    private let isDark: Bool
    private let width: Double

    /// - Parameters:
    ///   - words: of the bar.
    ///   - ahead: the text ahead of the cursor, or nil.
    ///   - width: of a phone, in points.
    package init(
        _ geometry: KeyGeometry, shift: Shift, words: [String], ahead: String?, isDark: Bool, width: Double = 390
    ) {
        (self.geometry, self.shift, self.words, self.ahead) = (geometry, shift, words, ahead)
        (self.isDark, self.width) = (isDark, width)
    }

    package var svg: String {
        let height = KeyboardLook.barHeight + KeyboardLook.keysHeight
        var lines = [
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 \(short(width)) \(short(height))\" width=\"\(short(width))\""
                + " height=\"\(short(height))\" font-family=\"-apple-system, 'SF Pro Text', Helvetica, Arial, sans-serif\""
                + " text-anchor=\"middle\">",
            "<rect width=\"100%\" height=\"100%\" fill=\"\(hex(.panel))\"/>",
        ]
        let cells = KeyboardLook.cells(words, ahead: ahead, problem: nil)
        for (place, cell) in cells.enumerated() {
            let x = (Double(place) + 0.5) * width / Double(cells.count)
            lines.append(text(cell.text, x, KeyboardLook.barHeight / 2, cell.size, cell.colour))
        }
        let size = CGSize(width: width, height: KeyboardLook.keysHeight)
        for key in geometry.keys {
            let box = geometry.drawn(key, in: size), top = Double(box.minY) + KeyboardLook.barHeight
            lines.append(
                "<rect x=\"\(short(Double(box.minX)))\" y=\"\(short(top))\" width=\"\(short(Double(box.width)))\""
                    + " height=\"\(short(Double(box.height)))\" rx=\"\(short(KeyboardLook.cornerRadius))\""
                    + " fill=\"\(hex(KeyboardLook.colour(of: key)))\"/>")
            let face = KeyboardLook.face(of: key, shift: shift)
            lines.append(text(face, Double(box.midX), top + Double(box.height) / 2, KeyboardLook.faceSize(face), .text))
        }
        return (lines + ["</svg>"]).joined(separator: "\n") + "\n"
    }

    private func text(_ text: String, _ x: Double, _ y: Double, _ size: Double, _ colour: KeyboardLook.Colour) -> String {
        var written = text
        for (sign, name) in [("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"), ("\"", "&quot;")] {
            written = written.replacingOccurrences(of: sign, with: name)
        }
        // A letter's middle is about a third of its size above the line that it stands on.
        return "<text x=\"\(short(x))\" y=\"\(short(y + 0.35 * size))\" font-size=\"\(short(size))\" fill=\"\(hex(colour))\">"
            + "\(written)</text>"
    }

    private func hex(_ colour: KeyboardLook.Colour) -> String { isDark ? colour.hex.dark : colour.hex.light }

    private func short(_ value: Double) -> String {
        let rounded = (value * 10).rounded() / 10
        return rounded == rounded.rounded() ? "\(Int(rounded))" : "\(rounded)"
    }
}
