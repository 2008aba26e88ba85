extension Layout {
    /// The character of the key under a tap; nil between and outside the keys.
    package func key(at tap: Tap) -> String? {
        guard (0..<Double(rows.count + 1)).contains(tap.y) else { return nil }
        let row = Int(tap.y)
        if row == rows.count { return spaceLeft <= tap.x && tap.x < spaceLeft + spaceWidth ? " " : nil }
        let keys = rows[row].keys, along = tap.x - rows[row].left
        return (0..<Double(keys.count)).contains(along) ? keys[Int(along)] : nil
    }
}
