/// Slips that the trie does not look for: a letter hit for the space, a digit of the row above hit for a letter.
struct Slips {
    /// The letters whose keys touch the space bar.
    let aboveSpace: Set<UInt32>
    /// For each digit the letters of the top row that its key, if there is a row of them, lies above.
    let belowDigits: [UInt32: [UInt32]]

    private static let digits = "1234567890".unicodeScalars.map(\.value)
    private static let reach = 1.0  // key widths from a digit's centre to that of the letters below it

    init(_ layout: Layout) {
        let places = KeyPlaces(layout)
        let top = places.characters.compactMap { char in places.centre(char).map { (x: $0.x, char: char, y: $0.y) } }
            .filter { $0.y < 1 }.sorted { ($0.x, $0.char) < ($1.x, $1.char) }
        var below: [UInt32: [UInt32]] = [:]
        if top.count >= Self.digits.count {
            for (place, digit) in Self.digits.enumerated() {
                below[digit] = top.filter { CharacterClass.isAlpha($0.char) && abs($0.x - top[place].x) <= Self.reach }.map(\.char)
            }
        }
        belowDigits = below
        guard let space = places.centre(KeyPlaces.space) else {
            aboveSpace = []
            return
        }
        aboveSpace = Set(
            places.characters.filter { char in
                guard CharacterClass.isAlpha(char), let key = places.centre(char) else { return false }
                let isInRowAbove = (space.y - key.y).rounded(.toNearestOrEven) == 1
                return isInRowAbove && layout.spaceLeft <= key.x && key.x <= layout.spaceLeft + layout.spaceWidth
            })
    }

    /// The ways to read letters as two words, each with whether a letter stands where the space was meant.
    func pairs(_ word: CodePoints) -> [(left: CodePoints, right: CodePoints, isHit: Bool)] {
        var found: [(left: CodePoints, right: CodePoints, isHit: Bool)] = []
        for place in stride(from: 1, to: word.count, by: 1) {
            let left = word.prefix(place), right = word.suffix(from: place)
            if CharacterClass.isAlpha(right[0]) { found.append((left, right, false)) }
            let key = Case.fold(right.prefix(1))[0]
            if aboveSpace.contains(key), right.count > 1, CharacterClass.isAlpha(right[1]) {
                found.append((left, right.suffix(from: 1), true))
            }
        }
        return found
    }

    /// What a word with one digit inside may have been: a letter in the place of that.
    func withoutDigit(_ word: CodePoints) -> [CodePoints] {
        let places = word.values.indices.filter { !CharacterClass.isAlpha(word[$0]) }
        guard places.count == 1, places[0] > 0, word.count >= 4 else { return [] }
        let place = places[0]
        return (belowDigits[word[place]] ?? []).map { word.prefix(place) + $0 + word.suffix(from: place + 1) }
    }
}
