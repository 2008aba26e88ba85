import KeyboardLM
import UIKit

/// The panel of learned words, drawn by hand over the keys.
final class LearnedView: UIView {
    var onAction: (LearnedPanel.Action) -> Void = { _ in }
    private var panel = LearnedPanel(words: [])
    private static let titleHeight = 24.0

    override init(frame: CGRect) {
        super.init(frame: frame)
        backgroundColor = .of(.panel)
        contentMode = .redraw
        isHidden = true
    }

    required init?(coder: NSCoder) { return nil }

    func show(_ panel: LearnedPanel) {
        self.panel = panel
        rebuild()
    }

    private func rebuild() {
        accessibilityElements = panel.rows.enumerated().flatMap { row, cells in
            cells.enumerated().filter { !$1.isEmpty }.map { column, cell in
                let element = UIAccessibilityElement(accessibilityContainer: self)
                element.accessibilityLabel = cell
                element.accessibilityTraits = .keyboardKey
                element.accessibilityFrameInContainerSpace = frame(row, column, of: cells.count)
                return element
            }
        }
        setNeedsDisplay()
    }

    private func frame(_ row: Int, _ column: Int, of columns: Int) -> CGRect {
        let width = bounds.width / Double(columns), height = (bounds.height - Self.titleHeight) / Double(panel.rows.count)
        return CGRect(x: Double(column) * width, y: Self.titleHeight + Double(row) * height, width: width, height: height)
    }

    override func draw(_ rect: CGRect) {
        let middle = CGPoint(x: bounds.midX, y: Self.titleHeight / 2)
        panel.title.draw(size: KeyboardLook.problemSize, .text, middle: middle)
        for (row, cells) in panel.rows.enumerated() {
            for (column, cell) in cells.enumerated() where !cell.isEmpty {
                let box = frame(row, column, of: cells.count).insetBy(dx: KeyboardLook.gap.across, dy: KeyboardLook.gap.down)
                UIColor.of(row < panel.rows.count - 1 ? .letterKey : .otherKey).setFill()
                UIBezierPath(roundedRect: box, cornerRadius: KeyboardLook.cornerRadius).fill()
                cell.draw(size: KeyboardLook.faceSize(cell), .text, middle: CGPoint(x: box.midX, y: box.midY))
            }
        }
    }

    override func touchesEnded(_ touches: Set<UITouch>, with event: UIEvent?) {
        guard let point = touches.first?.location(in: self), bounds.height > Self.titleHeight, bounds.width > 0 else { return }
        let row = Int((point.y - Self.titleHeight) / ((bounds.height - Self.titleHeight) / Double(panel.rows.count)))
        guard point.y >= Self.titleHeight, panel.rows.indices.contains(row) else { return }
        let column = Int(point.x / bounds.width * Double(panel.rows[row].count))
        if let action = panel.touch(row: row, column: column) { onAction(action) }
        rebuild()
    }
}
