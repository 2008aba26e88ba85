/// The most frequent words that begin with what has been typed: what a keyboard knows without its model.
extension Lexicon {
    private static let mostNodes = 2_000  // looked at; a beginning that many words share gives its best within a few dozen

    /// Offered words that begin with a prefix in any case, each with its frequency, the most frequent first.
    ///
    /// A best-first search: a node of the trie knows the highest frequency below it.
    package func frequentWords(_ prefix: CodePoints, limit: Int) -> [(text: CodePoints, frequency: Int)] {
        guard let start = node(of: Case.fold(prefix)) else { return [] }
        var found: [(text: CodePoints, frequency: Int)] = []
        var heap = MinHeap()
        heap.push(Self.rank(Int(file.bestFrequency[start]), isEntry: false, start))
        for _ in 0..<Self.mostNodes {
            guard found.count < limit, let best = heap.pop() else { break }
            let frequency = Self.maxFrequency - Int(best >> 40), number = Int(best & 0xFFFF_FFFF)
            if frequency == 0 { break }
            if best >> 32 & 1 == 1 {
                found.append((text(number), frequency))
                continue
            }
            for entry in entries(at: number) where isOffered(entry) {
                heap.push(Self.rank(self.frequency(of: entry), isEntry: true, entry))
            }
            for child in children(of: number) { heap.push(Self.rank(Int(file.bestFrequency[child]), isEntry: false, child)) }
        }
        return found
    }

    // The order of Python's tuples (minus the frequency, whether it is an entry's, its number) as one number.
    private static func rank(_ frequency: Int, isEntry: Bool, _ number: Int) -> UInt64 {
        UInt64(maxFrequency - frequency) << 40 | (isEntry ? 1 << 32 : 0) | UInt64(number)
    }
}

/// Numbers of which the smallest is had first.
private struct MinHeap {
    private var items: [UInt64] = []

    mutating func push(_ item: UInt64) {
        items.append(item)
        var child = items.count - 1
        while child > 0, items[child] < items[(child - 1) / 2] {
            items.swapAt(child, (child - 1) / 2)
            child = (child - 1) / 2
        }
    }

    mutating func pop() -> UInt64? {
        guard let first = items.first, let last = items.popLast() else { return nil }
        guard !items.isEmpty else { return first }
        items[0] = last
        var parent = 0
        while true {
            var child = 2 * parent + 1
            guard child < items.count else { break }
            if child + 1 < items.count, items[child + 1] < items[child] { child += 1 }
            guard items[child] < items[parent] else { break }
            items.swapAt(child, parent)
            parent = child
        }
        return first
    }
}
