import UIKit

/// The bar: up to three words side by side, or one line that says what is wrong.
final class BarView: UIView {
    var onWord: (Int) -> Void = { _ in }
    private var words: [String] = []
    private var problem: String?

    override init(frame: CGRect) {
        super.init(frame: frame)
        backgroundColor = .systemGray5
        contentMode = .redraw
    }

    required init?(coder: NSCoder) { return nil }

    func show(_ words: [String], problem: String?) {
        guard words != self.words || problem != self.problem else { return }
        (self.words, self.problem) = (words, problem)
        accessibilityLabel = problem ?? words.joined(separator: ", ")
        setNeedsDisplay()
    }

    override func draw(_ rect: CGRect) {
        let shown = words.isEmpty ? problem.map { [$0] } ?? [] : words
        let width = bounds.width / Double(max(shown.count, 1))
        for (place, word) in shown.enumerated() {
            let font = UIFont.systemFont(ofSize: words.isEmpty ? 12 : 17)
            let text = NSAttributedString(string: word, attributes: [.font: font, .foregroundColor: UIColor.label])
            let size = text.size()
            text.draw(at: CGPoint(x: (Double(place) + 0.5) * width - size.width / 2, y: bounds.midY - size.height / 2))
        }
    }

    override func touchesEnded(_ touches: Set<UITouch>, with event: UIEvent?) {
        guard let touch = touches.first, !words.isEmpty, bounds.width > 0 else { return }
        onWord(min(max(Int(touch.location(in: self).x / bounds.width * Double(words.count)), 0), words.count - 1))
    }
}
