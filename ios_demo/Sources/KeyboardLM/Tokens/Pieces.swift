/// Some pieces in the order of their folded text, so that those with a common beginning lie side by side.
package final class PieceSet {
    package let ids: [Int]
    package let texts: [CodePoints]
    package let keys: [CodePoints]
    package let mayBegin: [Bool]
    /// Where each group of equal keys begins, and at last the number of pieces.
    package let groupStarts: [Int]
    package let largestGroup: Int
    package let areWords: [Bool]
    package let longest: Int
    private let largestID: Int
    private let groupOf: [Int32]  // by the hash of its key, and behind it while that place is taken; -1 where one is free

    /// - Parameter pieces: id, text without the word end, and whether a word may begin with the piece.
    package init(_ pieces: [(id: Int, text: CodePoints, mayBegin: Bool)]) {
        let rows = pieces.map { (key: Case.fold($0.text), text: $0.text, id: $0.id, mayBegin: $0.mayBegin) }.sorted {
            ($0.key, $0.text, $0.id) < ($1.key, $1.text, $1.id)
        }
        ids = rows.map(\.id)
        texts = rows.map(\.text)
        keys = rows.map(\.key)
        mayBegin = rows.map(\.mayBegin)
        let keys = self.keys
        let starts = keys.indices.filter { $0 == 0 || keys[$0] != keys[$0 - 1] }
        groupStarts = starts + [keys.count]
        var size = 2
        while size < 2 * groupStarts.count { size *= 2 }
        var groupOf = [Int32](repeating: -1, count: size)
        for (group, start) in starts.enumerated() {
            var place = Int(truncatingIfNeeded: keys[start].mixed >> 32) & (size - 1)
            while groupOf[place] >= 0 { place = (place + 1) & (size - 1) }
            groupOf[place] = Int32(group)
        }
        self.groupOf = groupOf
        largestGroup = zip(groupStarts, groupStarts.dropFirst()).map { $1 - $0 }.max() ?? 1
        largestID = ids.max() ?? -1
        areWords = keys.map(TextForm.isWord)
        longest = keys.map(\.count).max() ?? 0
    }

    /// Where the pieces lie whose folded text starts with a folded prefix.
    package func starting(with prefix: CodePoints) -> Range<Int> {
        if prefix.isEmpty { return 0..<keys.count }
        if prefix.count > longest { return 0..<0 }
        let first = lowerBound { $0 < prefix }
        return first..<lowerBound(from: first) { $0 < prefix || $0.hasPrefix(prefix) }
    }

    /// The pieces of a span that a distribution gives most to as beginnings of words, in order; of equal ones the first.
    func best(_ count: Int, _ given: Distribution, _ span: Range<Int>) -> [(place: Int, mass: Float)] {
        precondition(given.count > largestID, "a distribution over other pieces")
        return given.withUnsafeBufferPointer { given in
            ids.withUnsafeBufferPointer { ids in
                mayBegin.withUnsafeBufferPointer { mayBegin in
                    func mass(_ number: Int) -> Float {
                        let place = span.lowerBound + number
                        return mayBegin[place] ? given[ids[place]] : 0
                    }
                    return bestFirst(count, of: span.count, mass).sorted().map { (span.lowerBound + $0, mass($0)) }
                }
            }
        }
    }

    /// Where the pieces lie whose folded text is a key.
    package func group(_ key: CodePoints) -> Range<Int> { group(key, 0..<key.count) }

    /// The same for a part of a text, without a copy of it.
    package func group(_ text: CodePoints, _ part: Range<Int>) -> Range<Int> {
        text.values.withUnsafeBufferPointer { letters in
            let key = UnsafeBufferPointer(rebasing: letters[part.clamped(to: 0..<letters.count)]), last = groupOf.count - 1
            var place = Int(truncatingIfNeeded: CodePoints.mixed(key) >> 32) & last
            while groupOf[place] >= 0 {
                let group = Int(groupOf[place]), start = groupStarts[group]
                if keys[start].count == key.count && keys[start].values.elementsEqual(key) { return start..<groupStarts[group + 1] }
                place = (place + 1) & last
            }
            return 0..<0
        }
    }

    /// What a distribution gives to the pieces at some places.
    ///
    /// - Parameter begins: whether they would begin a word: nothing is given to those that may not.
    func masses(_ given: Distribution, _ places: some Collection<Int>, begins: Bool) -> [Double] {
        precondition(given.count > largestID, "a distribution over other pieces")
        return [Double](unsafeUninitializedCapacity: places.count) { masses, filled in
            given.withUnsafeBufferPointer { given in
                ids.withUnsafeBufferPointer { ids in
                    for place in places {
                        masses[filled] = begins && !mayBegin[place] ? 0 : Double(given[ids[place]])
                        filled += 1
                    }
                }
            }
        }
    }

    /// The places of the pieces whose folded text is a beginning of a text, and not all of it.
    package func begun(_ text: CodePoints) -> [Int] {
        var places: [Int] = []
        for count in 0..<min(text.count, longest + 1) { places += group(text, 0..<count) }
        return places
    }

    /// Which of the `groupStarts` lie inside a span that begins and ends where groups do.
    package func groups(in span: Range<Int>) -> Range<Int> {
        func first(notBefore place: Int) -> Int {
            var low = 0, high = groupStarts.count
            while low < high {
                let middle = (low + high) / 2
                if groupStarts[middle] < place { low = middle + 1 } else { high = middle }
            }
            return low
        }
        return first(notBefore: span.lowerBound)..<first(notBefore: span.upperBound)
    }

    private func lowerBound(from start: Int = 0, _ isBefore: (CodePoints) -> Bool) -> Int {
        var low = start, high = keys.count
        while low < high {
            let middle = (low + high) / 2
            if isBefore(keys[middle]) { low = middle + 1 } else { high = middle }
        }
        return low
    }
}

/// The pieces a word can be written with: no control piece, no punctuation, no emoji, no mark.
package final class PieceTable {
    /// Pieces that finish a word (the bare word end among them); one that may begin a word is a whole one.
    package let ends: PieceSet
    /// Pieces that leave a word open.
    package let opens: PieceSet
    package let byteIDs: [Int]
    /// Whether a form token or a message ends with the piece.
    package let endsToken: [Bool]

    package init(_ tokenizer: Tokenizer) {
        let model = tokenizer.model
        var finishing: [(id: Int, text: CodePoints, mayBegin: Bool)] = [], open = finishing
        for (id, piece) in model.pieces.enumerated() {
            guard model.types[id] == .normal || model.types[id] == .userDefined else { continue }
            let isEnd = piece.last == CharacterClass.metaSpace
            let text = isEnd ? piece.dropLast() : piece
            if !text.isEmpty && !TextForm.isWordPart(text) { continue }
            if !isEnd {
                open.append((id, text, !Self.isInside(text[0])))
            } else if text.isEmpty || !Self.isInside(text[text.count - 1]) {
                finishing.append((id, text, TextForm.isWord(text)))
            }
        }
        ends = PieceSet(finishing)
        opens = PieceSet(open)
        byteIDs = model.byteIDs
        endsToken = model.pieces.indices.map { model.pieces[$0].last == CharacterClass.metaSpace || $0 == tokenizer.endID }
    }

    /// Whether any piece starts with a folded rest, or the rest with any open piece.
    package func canContinue(_ rest: CodePoints) -> Bool {
        if !ends.starting(with: rest).isEmpty || !opens.starting(with: rest).isEmpty { return true }
        guard !rest.isEmpty else { return false }
        return (1...max(1, min(rest.count, opens.longest))).contains { !opens.group(rest.prefix($0)).isEmpty }
    }

    // Marks that stand only inside words.
    private static func isInside(_ c: UInt32) -> Bool { c == 0x27 || c == 0x2E || c == 0x2C || c == 0x3A }
}

/// Letters without their case.
package enum Case {
    /// Lower case, character by character, so that the length stays.
    package static func fold(_ text: CodePoints) -> CodePoints {
        if text.values.allSatisfy({ $0 < 0x80 && !(0x41...0x5A).contains($0) }) { return text }
        var folded = text
        for (index, c) in text.values.enumerated() {
            if c < 0x80 {
                if (0x41...0x5A).contains(c) { folded.values[index] = c + 32 }
            } else {
                let lowered = CharacterClass.lower(c)
                if lowered.count == 1 { folded.values[index] = lowered[0] }
            }
        }
        return folded
    }

    /// Capitals throughout, which may make the text longer.
    package static func upper(_ text: CodePoints) -> CodePoints {
        text.values.reduce(into: CodePoints()) { $0 += CharacterClass.upper($1) }
    }
}
