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
        let width = layout.width
        columns = width
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
        let bottom = Double(lines.count)
        // Beside the letters of the lowest row that has room for a key there: Dvorak's is the first.
        func end(_ row: Int) -> Double { lines[row].left + Double(lines[row].keys.count) }
        let shiftRow = lines.indices.last { lines[$0].left >= 1 }
        let deleteRow = lines.indices.last { width - end($0) >= 1 } ?? lines.count - 1
        func add(_ action: Action, _ label: String, _ left: Double, _ right: Double, _ top: Double, place: Bool = false) {
            keys.append(Key(action: action, label: label, left: left, right: right, top: top, hasPlace: place))
        }
        if let shiftRow {
            let right = lines[shiftRow].left - 0.1
            page == .letters
                ? add(.shift, "shift", 0, right, Double(shiftRow)) : add(.learned, "words", 0, right, Double(shiftRow))
        }
        add(.backspace, "delete", end(deleteRow) + 0.1, max(columns, end(deleteRow) + 1), Double(deleteRow))
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
