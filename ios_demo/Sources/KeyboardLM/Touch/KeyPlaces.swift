/// Where the keys of a layout have their middles, by what they type.
package struct KeyPlaces: Sendable {
    package static let space: UInt32 = 0x20

    /// The characters that have a key, row by row; the space last.
    package let characters: [UInt32]
    private let centres: [UInt32: Tap]

    package init(_ layout: Layout) {
        var characters: [UInt32] = [], centres: [UInt32: Tap] = [:]
        for (y, row) in layout.rows.enumerated() {
            for (column, key) in row.keys.joined().unicodeScalars.enumerated() {
                characters.append(key.value)
                centres[key.value] = Tap(x: row.left + Double(column) + 0.5, y: Double(y) + 0.5)
            }
        }
        characters.append(Self.space)
        centres[Self.space] = Tap(x: layout.spaceLeft + layout.spaceWidth / 2, y: Double(layout.rows.count) + 0.5)
        (self.characters, self.centres) = (characters, centres)
    }

    /// The middle of a character's key, shift being ignored; nil if it has no key on this page.
    package func centre(_ char: UInt32) -> Tap? {
        if let known = centres[char] { return known }
        let lowered = CharacterClass.lower(char)
        return lowered.count == 1 ? centres[lowered[0]] : nil
    }
}
