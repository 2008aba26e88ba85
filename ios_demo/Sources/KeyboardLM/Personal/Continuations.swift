/// How a personal model learns and how much it counts; the reasons are in `keyboard_lm/personal/model.py`.
package struct PersonalOptions: Sendable {
    /// After as many learned words an event counts half.
    package var halfLifeWords = 10_000.0
    /// The largest share of orders 1, 2 and 3.
    package var caps = [0.1, 0.2, 0.2]
    /// Of orders 1, 2 and 3; the higher, the more evidence an order needs.
    package var escapes = [64.0, 4.0, 0.5]
    /// An unknown word seen again sooner than this has not been seen again.
    package var quarantineSeconds = 60.0
    /// After as many learned words, an unknown word seen once is forgotten.
    package var quarantineWords = 20_000
    /// Most n-grams kept; the weakest tenth goes when there are more.
    package var maxNgrams = 200_000

    package init() {}
}

/// Words and how heavy each is after one context.
///
/// All masses decay alike, so their order changes only when something is added; the best words for beginnings that many words
/// share are kept between queries.
final class Continuations {
    private(set) var masses: [CodePoints: Double]
    private(set) var total: Double
    private var keys: [CodePoints]?  // sorted, once a query needs them
    private var kept: [CodePoints: [CodePoints]] = [:]  // beginning -> heaviest words
    private static let last: UInt32 = 0x10FFFF  // sorts after every character of a word
    private static let numScanned = 64  // as many words are looked through one by one
    private static let numKept = 16

    init(_ masses: [CodePoints: Double]) {
        self.masses = masses
        total = exactSum(masses.values)
    }

    var count: Int { masses.count }

    func contains(_ word: CodePoints) -> Bool { masses[word] != nil }

    /// The same word, as it is held here: so that tables of the same words do not hold each a copy of its characters.
    func kept(_ word: CodePoints) -> CodePoints? { masses.index(forKey: word).map { masses.keys[$0] } }

    /// Makes a word heavier.
    func add(_ word: CodePoints, _ mass: Double) {
        if masses[word] == nil, let keys { self.keys?.insert(word, at: place(of: word, keys)) }
        masses[word, default: 0] += mass
        total += mass
        for length in 0...word.count {
            let beginning = word.prefix(length)
            guard var best = kept[beginning] else { continue }
            if !best.contains(word) { best.append(word) }
            kept[beginning] = Array(best.sorted(by: isHeavier).prefix(Self.numKept))
        }
    }

    /// The heaviest words that begin with a folded text, the heaviest first.
    func best(_ prefix: CodePoints, _ num: Int) -> [CodePoints] {
        if masses.count <= Self.numScanned {
            return Array(masses.keys.filter { $0.hasPrefix(prefix) }.sorted(by: isHeavier).prefix(num))
        }
        if num <= Self.numKept, let known = kept[prefix] { return Array(known.prefix(num)) }
        let keys = self.keys ?? masses.keys.sorted()
        self.keys = keys
        let first = place(of: prefix, keys), end = place(of: prefix + Self.last, keys)
        let words = keys[first..<max(first, end)]
        let best = words.sorted(by: isHeavier).prefix(max(num, Self.numKept))
        if words.count > Self.numScanned { kept[prefix] = Array(best.prefix(Self.numKept)) }
        return Array(best.prefix(num))
    }

    private func isHeavier(_ a: CodePoints, _ b: CodePoints) -> Bool {
        let left = masses[a] ?? 0, right = masses[b] ?? 0
        return left != right ? left > right : a < b
    }

    // The first place whose word does not come before one.
    private func place(of word: CodePoints, _ keys: [CodePoints]) -> Int {
        var low = 0, high = keys.count
        while low < high {
            let middle = (low + high) / 2
            if keys[middle] < word { low = middle + 1 } else { high = middle }
        }
        return low
    }
}

/// The orders of one context and their shares of a mixture; the rest is the language model's.
final class Interpolation {
    /// The share of all orders, from 0 to below 1.
    let weight: Double
    private let orders: [(table: Continuations, factor: Double)]  // with the part of the mixture that a mass of 1 has
    private static let numPooled = 8  // heaviest words of each order that are looked at, at least

    /// - Parameters:
    ///   - tables: continuations of the contexts, the longest context first, each with its order.
    ///   - scale: how much a mass of 1 counts now.
    init(_ tables: [(order: Int, table: Continuations)], scale: Double, _ options: PersonalOptions) {
        var orders: [(Continuations, Double)] = [], weight = 0.0, left = 1.0
        for (order, table) in tables {
            let count = table.total * scale
            guard count > 0 else { continue }
            let share = options.caps[order - 1] * count / (count + options.escapes[order - 1])
            orders.append((table, left * share / table.total))
            weight += left * share
            left *= 1 - share
        }
        (self.orders, self.weight) = (orders, weight)
    }

    /// A folded word's part of the mixture: `weight` times its personal probability.
    func joint(_ word: CodePoints) -> Double {
        var part = 0.0
        for (table, factor) in orders { part += factor * (table.masses[word] ?? 0) }
        return part
    }

    /// The most probable words among the heaviest of each order, the most probable first.
    func best(_ prefix: CodePoints, _ num: Int) -> [CodePoints] {
        var joints: [CodePoints: Double] = [:]
        for (table, _) in orders {
            for word in table.best(prefix, max(num, Self.numPooled)) where joints[word] == nil { joints[word] = joint(word) }
        }
        let sorted = joints.sorted { $0.value != $1.value ? $0.value > $1.value : $0.key < $1.key }
        return sorted.prefix(num).map(\.key)
    }
}

/// The sum of some numbers, rounded once (Shewchuk 1997, as Python's `math.fsum`): the order of the numbers does not matter.
package func exactSum(_ values: some Sequence<Double>) -> Double {
    var partials: [Double] = []
    for var x in values {
        var kept = 0
        for index in partials.indices {
            var y = partials[index]
            if abs(x) < abs(y) { swap(&x, &y) }
            let high = x + y, low = y - (high - x)
            if low != 0 {
                partials[kept] = low
                kept += 1
            }
            x = high
        }
        partials.removeSubrange(kept...)
        partials.append(x)
    }
    guard var high = partials.popLast() else { return 0 }
    var low = 0.0
    while let y = partials.popLast() {
        let x = high
        high = x + y
        low = y - (high - x)
        if low != 0 { break }
    }
    // Half-way cases are rounded by what is left below.
    if let next = partials.last, (low < 0 && next < 0) || (low > 0 && next > 0) {
        let y = low * 2, x = high + y
        if y == x - high { high = x }
    }
    return high
}
