/// Hypotheses of a search through a lexicon: nodes, ascending, no two the same, and their logarithms.
struct Beam {
    let nodes: [Int32]
    let logs: [Float]

    var count: Int { nodes.count }
}

/// Room for hypotheses while a step is made of them, used again for the next one.
///
/// A step handles some ten thousand of them: arrays that grow one by one took three times as long.
final class BeamRoom {
    private(set) var nodes: UnsafeMutablePointer<Int32>
    private(set) var logs: UnsafeMutablePointer<Float>
    var count = 0
    private var capacity: Int
    private var counts: [Int32] = []

    init(capacity: Int = 1024) {
        self.capacity = capacity
        nodes = .allocate(capacity: capacity)
        logs = .allocate(capacity: capacity)
    }

    deinit {
        nodes.deallocate()
        logs.deallocate()
    }

    /// Drops what is there and makes room for as many hypotheses.
    func clear(room: Int) {
        count = 0
        if room <= capacity { return }
        nodes.deallocate()
        logs.deallocate()
        capacity = max(room, 2 * capacity)
        nodes = .allocate(capacity: capacity)
        logs = .allocate(capacity: capacity)
    }

    func fill(with beam: Beam) {
        clear(room: beam.count)
        for place in 0..<beam.count { (nodes[place], logs[place]) = (beam.nodes[place], beam.logs[place]) }
        count = beam.count
    }

    func beam() -> Beam {
        Beam(
            nodes: Array(UnsafeBufferPointer(start: nodes, count: count)),
            logs: Array(UnsafeBufferPointer(start: logs, count: count)))
    }

    /// Takes the hypotheses of two others, each ascending; of equal nodes the better.
    func merge(_ a: BeamRoom, _ b: BeamRoom) {
        clear(room: a.count + b.count)
        let (nodes, logs, aNodes, aLogs, bNodes, bLogs) = (self.nodes, self.logs, a.nodes, a.logs, b.nodes, b.logs)
        let (aEnd, bEnd) = (a.count, b.count)
        var i = 0, j = 0, num = 0
        while i < aEnd && j < bEnd {
            let (one, other) = (aNodes[i], bNodes[j])
            let (log, otherLog) = (aLogs[i], bLogs[j])
            nodes[num] = min(one, other)
            logs[num] = one < other ? log : one > other ? otherLog : max(log, otherLog)
            i += one <= other ? 1 : 0
            j += other <= one ? 1 : 0
            num += 1
        }
        while i < aEnd {
            (nodes[num], logs[num]) = (aNodes[i], aLogs[i])
            i += 1
            num += 1
        }
        while j < bEnd {
            (nodes[num], logs[num]) = (bNodes[j], bLogs[j])
            j += 1
            num += 1
        }
        count = num
    }

    /// Takes hypotheses in any order, nodes more than once among them; of equal nodes the best.
    func take(_ found: inout [(node: Int32, log: Float)]) {
        found.sort { ($0.node, -$0.log) < ($1.node, -$1.log) }
        clear(room: found.count)
        for (node, log) in found where count == 0 || nodes[count - 1] != node {
            (nodes[count], logs[count]) = (node, log)
            count += 1
        }
    }

    /// Keeps the `most` hypotheses of the highest ranks, of equal ones the first.
    ///
    /// - Parameter ranks: of each hypothesis, 0 or below.
    func keep(_ most: Int, _ ranks: UnsafePointer<Float>) {
        if count <= most { return }
        var (least, numEqual) = least(most, ranks)
        var kept = 0
        for place in 0..<count {
            (nodes[kept], logs[kept]) = (nodes[place], logs[place])
            let rank = ranks[place]
            if rank == least {
                kept += numEqual > 0 ? 1 : 0
                numEqual -= 1
            } else {
                kept += rank > least ? 1 : 0
            }
        }
        count = kept
    }

    /// Keeps the `most` hypotheses of the highest ranks and all that rank as the last of these does; returns that rank.
    func keepAll(_ most: Int, _ ranks: UnsafePointer<Float>) -> Float {
        let (least, _) = least(most, ranks)
        var kept = 0
        for place in 0..<count {
            (nodes[kept], logs[kept]) = (nodes[place], logs[place])
            kept += ranks[place] >= least ? 1 : 0
        }
        count = kept
        return least
    }

    // The rank of the last of the `most` highest, and how many of that rank belong to them.
    //
    // Ranks are counted into bins first, so that only those of one bin have to be put in order.
    private func least(_ most: Int, _ ranks: UnsafePointer<Float>) -> (rank: Float, numEqual: Int) {
        if counts.isEmpty { counts = [Int32](repeating: 0, count: Self.numBins) }
        return counts.withUnsafeMutableBufferPointer { counts in
            counts.update(repeating: 0)
            for place in 0..<count { counts[Self.bin(ranks[place])] += 1 }
            var bin = 0, above = 0
            while above + Int(counts[bin]) < most {
                above += Int(counts[bin])
                bin += 1
            }
            var inBin: [Float] = []
            inBin.reserveCapacity(Int(counts[bin]))
            for place in 0..<count where Self.bin(ranks[place]) == bin { inBin.append(ranks[place]) }
            inBin.sort(by: >)
            let least = inBin[most - above - 1]
            return (least, most - above - inBin.prefix { $0 > least }.count)
        }
    }

    private static let numBins = 2048

    // A bin for a rank, the lower the rank the higher.
    private static func bin(_ rank: Float) -> Int { Int(min(max(rank * -32, 0), Float(numBins - 1))) }
}

/// The places of the `count` highest ranks, the highest first; of equal ones those that come first.
package func bestFirst<Rank: BinaryFloatingPoint>(_ count: Int, of num: Int, _ rank: (Int) -> Rank) -> [Int] {
    let most = min(count, num)
    if most <= 0 { return [] }
    return withUnsafeTemporaryAllocation(of: Rank.self, capacity: most) { ranks in
        [Int](unsafeUninitializedCapacity: most) { places, kept in
            for place in 0..<num {
                let value = rank(place)
                if kept == most {
                    guard value > ranks[kept - 1] else { continue }
                    kept -= 1
                }
                var at = kept
                while at > 0, ranks[at - 1] < value {
                    (ranks[at], places[at]) = (ranks[at - 1], places[at - 1])
                    at -= 1
                }
                (ranks[at], places[at]) = (value, place)
                kept += 1
            }
        }
    }
}

/// Where the `count` largest values are, in ascending order of places; of equal ones the first.
package func bestPlaces(_ values: [Float], _ count: Int) -> [Int] {
    if count >= values.count { return Array(values.indices) }
    return bestFirst(count, of: values.count) { values[$0] }.sorted()
}
