import KeyboardLM
import UIKit

/// The bar: up to three words side by side and the text ahead of the cursor, or one line that says what is wrong.
///
/// A tap takes what is in a cell; a swipe over the text ahead takes its first word.
final class BarView: UIView {
    var onWord: (Int) -> Void = { _ in }
    var onGhost: (_ onlyWord: Bool) -> Void = { _ in }
    private var words: [String] = []
    private var ghost: String?
    private var problem: String?
    private var start: CGPoint?
    private static let swipeLength = 24.0  // points

    override init(frame: CGRect) {
        super.init(frame: frame)
        backgroundColor = .of(.panel)
        contentMode = .redraw
    }

    required init?(coder: NSCoder) { return nil }

    func show(_ words: [String], ghost: String?, problem: String?) {
        guard words != self.words || ghost != self.ghost || problem != self.problem else { return }
        (self.words, self.ghost, self.problem) = (words, ghost, problem)
        accessibilityLabel = cells.isEmpty ? problem : cells.joined(separator: ", ")
        setNeedsDisplay()
    }

    private var cells: [String] { words + (ghost.map { [$0] } ?? []) }

    override func draw(_ rect: CGRect) {
        let shown = KeyboardLook.cells(words, ahead: ghost, problem: problem)
        for (place, cell) in shown.enumerated() {
            let x = (Double(place) + 0.5) * bounds.width / Double(shown.count)
            cell.text.draw(size: cell.size, cell.colour, middle: CGPoint(x: x, y: bounds.midY))
        }
    }

    override func touchesBegan(_ touches: Set<UITouch>, with event: UIEvent?) {
        start = touches.first?.location(in: self)
    }

    override func touchesEnded(_ touches: Set<UITouch>, with event: UIEvent?) {
        guard let end = touches.first?.location(in: self), let start, !cells.isEmpty, bounds.width > 0 else { return }
        let place = min(max(Int(start.x / bounds.width * Double(cells.count)), 0), cells.count - 1)
        if place < words.count { onWord(place) } else { onGhost(abs(end.x - start.x) > Self.swipeLength) }
    }
}
