/// What to look for, and how far.
package struct SearchOptions: Sendable {
    /// How many words are wanted.
    package var numWords = 3
    /// Calls of the network, one for each round of branches.
    package var maxRounds = 4
    /// Tree nodes of one call.
    package var maxNodes = 16
    /// A branch is followed only while its probability is above this times that of the last word wanted.
    package var stopRatio = 1.0
    /// A branch is followed only while its probability is above this times that of the words found.
    package var negligible = 0.005
    /// How much less probable a word becomes for lacking a capital that was typed.
    package var lowerCaseOdds = 0.05

    package init() {}
}

/// A word found, and its probability given the context, over the ways to write it that were explored.
package struct Word: Sendable {
    package let text: CodePoints
    package let probability: Double
}

/// What a search found.
package struct SearchResult: Sendable {
    package let words: [Word]
    /// The probability of the word that is exactly the typed prefix, in any case; 0 where it was not found.
    package let typedProbability: Double
    /// That of any word beginning with the prefix, over the branches explored.
    package let prefixProbability: Double
    /// That of the branches left; no word's probability is too small by more than this.
    package let unexplored: Double
    package let numRounds: Int
}

/// The most probable words that begin with what has been typed.
///
/// A best-first search over piece sequences from a word boundary; `keyboard_lm/decoding/search.py` is the law, and says where
/// its ideas come from.
package struct WordSearch {
    private struct Node {
        let path: Path
        let text: CodePoints
        let mass: Double
        let rest: CodePoints
        let lacksCapital: Bool
    }

    private struct Branch {
        let parent: Node
        let run: Path
        let text: CodePoints
        let mass: Double
        let rest: CodePoints
        let lacksCapital: Bool
        var inBytes = false
        var path: Path { parent.path + run }
    }

    private struct Endings {
        let stem: CodePoints  // the folded text of the node
        let text: CodePoints
        let pieces: PieceSet
        let span: Range<Int>
        let masses: [Double]

        /// The first pieces of the most probable groups above a floor, and their masses; equal ones by place.
        func best(_ count: Int, floor: Double) -> [(place: Int, mass: Double)] {
            let groups = pieces.groups(in: span), starts = pieces.groupStarts, first = span.lowerBound
            return masses.withUnsafeBufferPointer { masses in
                func mass(_ group: Int) -> Double {
                    var mass = 0.0
                    for place in starts[groups.lowerBound + group]..<starts[groups.lowerBound + group + 1] { mass += masses[place - first] }
                    return mass
                }
                return bestFirst(count, of: groups.count, mass).sorted().compactMap { group in
                    let mass = mass(group)
                    return mass > floor ? (starts[groups.lowerBound + group], mass) : nil
                }
            }
        }

        /// The probability of a folded word, which begins as the node does, in any case.
        func mass(of key: CodePoints) -> Double { between(pieces.group(key, text.count..<key.count)) }

        func between(_ group: Range<Int>) -> Double {
            guard !group.isEmpty, group.lowerBound >= span.lowerBound, group.upperBound <= span.upperBound else { return 0 }
            var mass = 0.0
            for place in group { mass += masses[place - span.lowerBound] }
            return mass
        }

        func variants(of key: CodePoints) -> [(text: CodePoints, mass: Double)] {
            let group = pieces.group(key, text.count..<key.count)
            let range = max(group.lowerBound, span.lowerBound)..<max(
                max(group.lowerBound, span.lowerBound), min(group.upperBound, span.upperBound))
            return range.map { (text + pieces.texts[$0], masses[$0 - span.lowerBound]) }
        }
    }

    private let table: PieceTable
    private let boundary: Boundary
    private let prefix: CodePoints
    private let options: SearchOptions
    private let key: CodePoints
    private let capitals: [(place: Int, character: UInt32)]
    private var frontier = Heap<Branch>()
    private var endings: [Endings] = []
    private var found = FoundWords()
    private var lastWanted: Double? = 0
    private var foundMass = 0.0
    private var prefixMass = 0.0
    private var droppedMass = 0.0

    /// Returns the most probable words that begin with a prefix after a context.
    ///
    /// Matching ignores case: a typed small letter stands for either, a typed capital prefers words that have it.
    package static func find(
        _ table: PieceTable, _ boundary: Boundary, _ prefix: CodePoints, _ options: SearchOptions = SearchOptions()
    ) throws -> SearchResult {
        var search = WordSearch(table, boundary, prefix, options)
        return try search.run()
    }

    private init(_ table: PieceTable, _ boundary: Boundary, _ prefix: CodePoints, _ options: SearchOptions) {
        (self.table, self.boundary, self.prefix, self.options) = (table, boundary, prefix, options)
        let key = Case.fold(prefix)
        self.key = key
        capitals = prefix.values.enumerated().filter { $0.element != key[$0.offset] }.map { ($0.offset, $0.element) }
    }

    private mutating func run() throws -> SearchResult {
        open(Node(path: [], text: "", mass: 1, rest: key, lacksCapital: false))
        var numRounds = 0
        while numRounds < options.maxRounds {
            let batch = nextBatch()
            if batch.isEmpty { break }
            let unknown = batch.map(\.path).filter { !boundary.isKnown($0) }
            if !unknown.isEmpty, try !boundary.expand(unknown) {
                droppedMass += batch.reduce(0.0) { $0 + $1.mass }
                break
            }
            numRounds += 1  // also where an earlier search has paid for it: the answer must not depend on that
            for branch in batch { open(node(branch)) }
        }
        return SearchResult(
            words: found.best(options.numWords).map { Word(text: asCased($0.key), probability: $0.mass) },
            typedProbability: TextForm.isWord(key) ? mass(of: key) : 0,
            prefixProbability: prefixMass,
            unexplored: droppedMass + frontier.items.reduce(0.0) { $0 + $1.value.mass },
            numRounds: numRounds)
    }

    private mutating func nextBatch() -> [Branch] {
        var batch: [Branch] = []
        var nodes: Set<Path> = []
        let floor = self.floor()
        while let first = frontier.first, first.mass > floor {
            let path = first.path
            let new = Set((1...path.count).map { Array(path[..<$0]) }).subtracting(nodes)
            if nodes.count + new.count > options.maxNodes {
                if !nodes.isEmpty { break }
                droppedMass += frontier.pop().mass  // too long for any call
                continue
            }
            nodes.formUnion(new)
            batch.append(frontier.pop())
        }
        return batch
    }

    private mutating func floor() -> Double {
        let last = lastWanted ?? found.mass(ofPlace: options.numWords)
        lastWanted = last
        return max(last * options.stopRatio, foundMass * options.negligible)
    }

    private mutating func node(_ branch: Branch) -> Node {
        var mass = branch.mass
        for (place, id) in branch.run.enumerated().dropFirst() {
            mass *= Double(boundary.probabilities(branch.parent.path + branch.run[..<place])[id])
        }
        if branch.inBytes && branch.rest.isEmpty { prefixMass += mass }
        return Node(path: branch.path, text: branch.text, mass: mass, rest: branch.rest, lacksCapital: branch.lacksCapital)
    }

    // Adds the words that end at a node, and the branches that leave it.
    private mutating func open(_ node: Node) {
        let (ends, opens) = (table.ends, table.opens)
        var span = ends.starting(with: node.rest)
        var masses = self.masses(node, ends, span)
        var covered = masses.reduce(0, +)
        if !masses.isEmpty {
            let stem = Case.fold(node.text)
            addWords(Endings(stem: stem, text: node.text, pieces: ends, span: span, masses: masses), covered)
        }
        let floor = self.floor()
        span = opens.starting(with: node.rest)
        let begun = node.rest.isEmpty ? [] : opens.begun(node.rest)  // behind those that begin with it
        masses = self.masses(node, opens, span) + self.masses(node, opens, begun)
        let isAll = begun.isEmpty
        let total = masses.reduce(0, +)
        covered += isAll ? total : masses.prefix(span.count).reduce(0, +)
        droppedMass += total - push(node, opens, span, begun, masses, floor)
        if !node.rest.isEmpty || node.path.isEmpty { prefixMass += covered }
        if !node.rest.isEmpty && covered == 0 && isAll { pushBytes(node) }
    }

    private func masses(_ node: Node, _ pieces: PieceSet, _ places: some Collection<Int>) -> [Double] {
        if places.isEmpty { return [] }
        var masses = pieces.masses(boundary.probabilities(node.path), places, begins: node.path.isEmpty)
        for index in masses.indices { masses[index] *= node.mass }
        if !capitals.isEmpty && !node.lacksCapital {
            for (index, place) in places.enumerated() where lacksCapital(node.text.count, pieces.texts[place]) {
                masses[index] *= options.lowerCaseOdds
            }
        }
        return masses
    }

    private func lacksCapital(_ stem: Int, _ piece: CodePoints) -> Bool {
        capitals.contains { stem <= $0.place && $0.place < stem + piece.count && piece[$0.place - stem] != $0.character }
    }

    // Puts open pieces on the frontier, as far as a search can come to follow them; returns their mass together.
    private mutating func push(
        _ node: Node, _ pieces: PieceSet, _ span: Range<Int>, _ begun: [Int], _ masses: [Double], _ floor: Double
    ) -> Double {
        var kept = masses.indices.filter { masses[$0] > floor }
        let most = options.maxNodes * options.maxRounds
        if kept.count > most { kept = kept.sorted { (-masses[$0], $0) < (-masses[$1], $1) }.prefix(most).sorted() }
        var sum = 0.0
        for index in kept {
            let place = index < span.count ? span.lowerBound + index : begun[index - span.count], text = pieces.texts[place], mass = masses[index]
            let lacks = node.lacksCapital || (!capitals.isEmpty && lacksCapital(node.text.count, text))
            frontier.push(
                Branch(
                    parent: node, run: [pieces.ids[place]], text: node.text + text, mass: mass,
                    rest: node.rest.suffix(from: text.count), lacksCapital: lacks), mass)
            sum += mass
        }
        return sum
    }

    // Branches into the bytes of the typed letters that no piece can spell.
    private mutating func pushBytes(_ node: Node) {
        let typed = prefix.suffix(from: prefix.count - node.rest.count)
        let most = min(typed.count, options.maxNodes)  // a longer run fits no call
        var length = 1
        while length < most && !table.canContinue(node.rest.suffix(from: length)) { length += 1 }
        let run = Array(typed.prefix(length).string.utf8).map { table.byteIDs[Int($0)] }
        guard run.allSatisfy({ $0 >= 0 }) else { return }
        let mass = Double(boundary.probabilities(node.path)[run[0]]) * node.mass
        frontier.push(
            Branch(
                parent: node, run: run, text: node.text + typed.prefix(length), mass: mass,
                rest: node.rest.suffix(from: length), lacksCapital: node.lacksCapital, inBytes: true), mass)
    }

    private mutating func addWords(_ ending: Endings, _ mass: Double) {
        let isFirst = endings.isEmpty
        // What is below the floor here could be among the best only with what it has elsewhere, and is added there.
        let floor = isFirst ? 0 : self.floor()
        endings.append(ending)
        foundMass += mass
        lastWanted = nil
        if !isFirst {
            found.add { $0.hasPrefix(ending.stem) ? ending.mass(of: $0) : 0 }
        }
        for (place, here) in ending.best(4 * options.numWords + 20, floor: floor) {
            let key = ending.stem.isEmpty ? ending.pieces.keys[place] : ending.stem + ending.pieces.keys[place]
            let mixed = key.mixed
            if !isFirst && found.contains(key, mixed) { continue }  // at the first, each group is another word
            let isWord = ending.stem.isEmpty ? ending.pieces.areWords[place] : TextForm.isWord(key)
            if isWord { found.append(key, mixed, isFirst ? here : self.mass(of: key)) }
        }
    }

    private func mass(of key: CodePoints) -> Double { endings(of: key).reduce(0) { $0 + $1.mass(of: key) } }

    private func asCased(_ key: CodePoints) -> CodePoints {
        var variants: [CodePoints: Double] = [:]
        for ending in endings(of: key) {
            for (text, mass) in ending.variants(of: key) { variants[text, default: 0] += mass }
        }
        return variants.min { (-$0.value, $0.key) < (-$1.value, $1.key) }!.key
    }

    // The nodes opened so far where a folded word may end: by the text of their node as it came first, then in order.
    private func endings(of key: CodePoints) -> [Endings] {
        let fitting = endings.filter { key.hasPrefix($0.stem) }
        var stems: [CodePoints] = []
        for ending in fitting where !stems.contains(ending.stem) { stems.append(ending.stem) }
        return stems.flatMap { stem in fitting.filter { $0.stem == stem } }
    }
}

/// Words that a search has found so far, folded: a few dozen, looked through sooner than a dictionary is asked.
private struct FoundWords {
    private var keys: [CodePoints] = []
    private var hashes: [UInt64] = []
    private var masses: [Double] = []

    func contains(_ key: CodePoints, _ mixed: UInt64) -> Bool {
        hashes.indices.contains { hashes[$0] == mixed && keys[$0] == key }
    }

    mutating func append(_ key: CodePoints, _ mixed: UInt64, _ mass: Double) {
        keys.append(key)
        hashes.append(mixed)
        masses.append(mass)
    }

    /// Adds to each word what else is known of it.
    mutating func add(_ mass: (CodePoints) -> Double) {
        for place in keys.indices { masses[place] += mass(keys[place]) }
    }

    /// The most probable words, of equal ones in the order of their letters.
    func best(_ count: Int) -> [(key: CodePoints, mass: Double)] {
        let order = keys.indices.sorted { masses[$0] != masses[$1] ? masses[$0] > masses[$1] : keys[$0] < keys[$1] }
        return order.prefix(count).map { (keys[$0], masses[$0]) }
    }

    /// The mass of the word in a place of that order, counted from 1; 0 where there are fewer.
    func mass(ofPlace number: Int) -> Double {
        let best = bestFirst(number, of: masses.count) { masses[$0] }
        return best.count == number && number > 0 ? masses[best[number - 1]] : 0
    }
}

/// A heap whose first item has the largest mass; of equal ones the one that came first.
private struct Heap<Value> {
    private(set) var items: [(mass: Double, order: Int, value: Value)] = []
    private var count = 0

    var first: Value? { items.first?.value }

    mutating func push(_ value: Value, _ mass: Double) {
        items.append((mass, count, value))
        count += 1
        var child = items.count - 1
        while child > 0, isBefore(child, (child - 1) / 2) {
            items.swapAt(child, (child - 1) / 2)
            child = (child - 1) / 2
        }
    }

    mutating func pop() -> Value {
        items.swapAt(0, items.count - 1)
        let last = items.removeLast()
        var parent = 0
        while true {
            let left = 2 * parent + 1, right = left + 1
            guard left < items.count else { break }
            let child = right < items.count && isBefore(right, left) ? right : left
            guard isBefore(child, parent) else { break }
            items.swapAt(child, parent)
            parent = child
        }
        return last.value
    }

    private func isBefore(_ a: Int, _ b: Int) -> Bool {
        items[a].mass != items[b].mass ? items[a].mass > items[b].mass : items[a].order < items[b].order
    }
}
