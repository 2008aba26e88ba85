import Foundation
import KeyboardLM
import Testing

/// The picture of the keyboard, and the panel of learned words.
struct KeyboardPictureTests {
    let pack: Pack

    init() throws { pack = try bundledLanguage().pack }

    @Test func thePictureHasEveryKeyWhereATouchFindsIt() throws {
        for layout in pack.layouts.values {
            let geometry = KeyGeometry(layout)
            let picture = KeyboardPicture(geometry, shift: .on, words: ["I", "a<b"], ahead: "am & so on", isDark: false).svg
            let boxes = Self.boxes(picture)
            try #require(boxes.count == geometry.keys.count)
            #expect(geometry.keys.contains { $0.action == .shift } && geometry.keys.contains { $0.action == .backspace })
            let size = CGSize(width: 390, height: KeyboardLook.keysHeight)
            for (key, box) in zip(geometry.keys, boxes) {
                let drawn = geometry.drawn(key, in: size)
                #expect(abs(box[0] - Double(drawn.minX)) < 0.06 && abs(box[1] - KeyboardLook.barHeight - Double(drawn.minY)) < 0.06)
                let middle = (x: box[0] + box[2] / 2, y: box[1] - KeyboardLook.barHeight + box[3] / 2)
                let tap = Tap(
                    x: middle.x / 390 * geometry.columns, y: middle.y / KeyboardLook.keysHeight * Double(geometry.rows))
                #expect(geometry.key(at: tap).label == key.label, "\(layout.name)")
                // Place and size are rounded to a tenth each.
                #expect(box[0] >= 0 && box[0] + box[2] < 390.11 && box[1] + box[3] < 260.11 && box[2] > 10)
            }
            for text in ["a&lt;b", "am &amp; so on", ">\(layout.rows[0].keys[0].uppercased())</text>", "\u{232B}"] {
                #expect(picture.contains(text), "\(layout.name): \(text)")
            }
        }
    }

    @Test func lightAndDarkDifferInColoursAlone() throws {
        let geometry = KeyGeometry(try #require(pack.layouts["qwerty"]))
        func picture(_ isDark: Bool) -> String {
            KeyboardPicture(geometry, shift: .off, words: ["the"], ahead: "end", isDark: isDark).svg
        }
        var (light, dark) = (picture(false), picture(true))
        #expect(light != dark)
        for colour in KeyboardLook.Colour.allCases {
            (light, dark) = (light.replacingOccurrences(of: colour.hex.light, with: ""), dark.replacingOccurrences(of: colour.hex.dark, with: ""))
        }
        #expect(light == dark)
    }

    // Edges of the keys: all boxes but the first, which is the panel.
    private static func boxes(_ picture: String) -> [[Double]] {
        picture.split(separator: "\n").filter { $0.hasPrefix("<rect x=") }.map { line in
            let fields = line.split(separator: "\"")
            return [1, 3, 5, 7].compactMap { Double(fields[$0]) }
        }
    }

    @Test func aWordIsForgottenWithTheSecondTouchAlone() {
        var panel = LearnedPanel(words: ["one", "two"])
        #expect(panel.rows[0] == ["one", "two", ""])
        #expect(panel.touch(row: 0, column: 0) == nil && panel.rows[0][0] == "forget one?")
        #expect(panel.touch(row: 0, column: 1) == nil && panel.rows[0] == ["one", "forget two?", ""])
        #expect(panel.touch(row: 0, column: 1) == .forget("two"))
        #expect(panel.touch(row: 3, column: 3) == nil && panel.rows[3][3] == "erase all?")
        #expect(panel.touch(row: 0, column: 0) == nil && panel.rows[3][3] == "erase")
        #expect(panel.touch(row: 3, column: 3) == nil && panel.touch(row: 3, column: 3) == .eraseAll)
        #expect(panel.touch(row: 3, column: 2) == .typeAll && panel.touch(row: 3, column: 0) == .close)
        #expect(panel.touch(row: 9, column: 0) == nil && panel.touch(row: 0, column: 2) == nil)
    }

    @Test func manyWordsArePaged() {
        var panel = LearnedPanel(words: (0..<20).map { "w\($0)" })
        var seen: [String] = []
        for _ in 0..<3 {
            seen += panel.rows[..<3].flatMap { $0 }.filter { !$0.isEmpty }
            #expect(panel.touch(row: 3, column: 1) == nil)
        }
        #expect(seen == (0..<20).map { "w\($0)" } && panel.rows[0][0] == "w0")
        #expect(LearnedPanel(words: []).rows[3] == ["ABC"])
    }
}
