/// The keys of a page, where they are, and which one a touch belongs to.
public struct KeyGeometry: Sendable {
    public enum Action: Equatable, Sendable { case type(String), shift, backspace, page, learned, nextKeyboard, send }
    public enum Page: Sendable { case letters, symbols }

    public struct Key: Sendable {
        public let action: Action
        public let label: String
        /// Edges in key widths and row heights.
        public let left, right, top: Double
        /// Whether the layout knows the key, so that a touch of it is a tap for the engine.
        public let hasPlace: Bool
    }

    public let keys: [Key]
    public let columns: Double
    public let rows: Int

    /// - Parameter showsGlobe: whether the system gives no key of its own to change keyboards.
    public init(_ layout: Layout, page: Page = .letters, showsGlobe: Bool = true) {
        columns = layout.width
        var keys: [Key] = []
        let lines = page == .letters ? layout.rows : Self.symbolRows(columns)
        for (index, row) in lines.enumerated() {
            for (place, label) in row.keys.enumerated() {
                let left = row.left + Double(place)
                keys.append(
                    Key(
                        action: .type(label), label: label, left: left, right: left + 1, top: Double(index),
                        hasPlace: page == .letters))
            }
        }
        rows = lines.count + 1
        let last = Double(lines.count - 1), bottom = Double(lines.count)
        let start = lines[lines.count - 1].left, end = start + Double(lines[lines.count - 1].keys.count)
        func add(_ action: Action, _ label: String, _ left: Double, _ right: Double, _ top: Double, place: Bool = false) {
            keys.append(Key(action: action, label: label, left: left, right: right, top: top, hasPlace: place))
        }
        if start >= 1 { page == .letters ? add(.shift, "shift", 0, start - 0.1, last) : add(.learned, "words", 0, start - 0.1, last) }
        add(.backspace, "delete", end + 0.1, max(columns, end + 1), last)
        let (left, right) = (layout.spaceLeft, layout.spaceLeft + layout.spaceWidth)
        let middle = showsGlobe ? left / 2 : left
        add(.page, page == .letters ? "123" : "ABC", 0, middle, bottom)
        if showsGlobe { add(.nextKeyboard, "globe", middle, left, bottom) }
        add(.type(" "), "space", left, right, bottom, place: page == .letters)
        add(.send, "return", right, columns, bottom)
        self.keys = keys
    }

    /// Returns the key that a touch belongs to: the nearest of the nearest row, since dead gaps between keys lose letters.
    public func key(at tap: Tap) -> Key {
        func distance(_ key: Key) -> (Double, Double) {
            (max(key.top - tap.y, tap.y - key.top - 1, 0), max(key.left - tap.x, tap.x - key.right, 0))
        }
        return keys.min { distance($0) < distance($1) }!
    }

    private static func symbolRows(_ columns: Double) -> [Layout.Row] {
        ["1234567890", "-/:;()$&@\"", ".,?!'#%+"].map { line in
            Layout.Row(keys: line.map(String.init), left: max((columns - Double(line.count)) / 2, 0))
        }
    }
}
