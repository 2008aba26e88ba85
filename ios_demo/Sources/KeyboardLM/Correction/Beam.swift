/// Hypotheses of a search through a lexicon: nodes, ascending, no two the same, and their logarithms.
struct Beam {
    private(set) var nodes: [Int32] = []
    private(set) var logs: [Float] = []

    var count: Int { nodes.count }

    init() {}
    init(node: Int, log: Float) { (nodes, logs) = ([Int32(node)], [log]) }

    /// Adds a hypothesis whose node comes behind all others'.
    mutating func append(_ node: Int, _ log: Float) {
        nodes.append(Int32(truncatingIfNeeded: node))
        logs.append(log)
    }

    /// Both together; of equal nodes the better.
    func merged(with other: Beam) -> Beam {
        if other.nodes.isEmpty { return self }
        if nodes.isEmpty { return other }
        var found = Beam()
        let most = nodes.count + other.nodes.count
        var num = 0
        found.logs = [Float](unsafeUninitializedCapacity: most) { logs, numLogs in
            found.nodes = [Int32](unsafeUninitializedCapacity: most) { nodes, numNodes in
                num = merge(other, nodes, logs)
                numNodes = num
            }
            numLogs = num
        }
        return found
    }

    private func merge(
        _ other: Beam, _ into: UnsafeMutableBufferPointer<Int32>, _ intoLogs: UnsafeMutableBufferPointer<Float>
    ) -> Int {
        nodes.withUnsafeBufferPointer { a in
            other.nodes.withUnsafeBufferPointer { b in
                logs.withUnsafeBufferPointer { aLogs in
                    other.logs.withUnsafeBufferPointer { bLogs in
                        var i = 0, j = 0, num = 0
                        while i < a.count && j < b.count {
                            if a[i] < b[j] {
                                (into[num], intoLogs[num]) = (a[i], aLogs[i])
                                i += 1
                            } else if a[i] > b[j] {
                                (into[num], intoLogs[num]) = (b[j], bLogs[j])
                                j += 1
                            } else {
                                (into[num], intoLogs[num]) = (a[i], max(aLogs[i], bLogs[j]))
                                i += 1
                                j += 1
                            }
                            num += 1
                        }
                        while i < a.count {
                            (into[num], intoLogs[num]) = (a[i], aLogs[i])
                            i += 1
                            num += 1
                        }
                        while j < b.count {
                            (into[num], intoLogs[num]) = (b[j], bLogs[j])
                            j += 1
                            num += 1
                        }
                        return num
                    }
                }
            }
        }
    }

    /// The hypotheses at some places, ascending.
    func at(_ places: [Int]) -> Beam {
        var found = Beam()
        found.nodes = places.map { nodes[$0] }
        found.logs = places.map { logs[$0] }
        return found
    }

    /// Hypotheses in any order, nodes more than once among them; of equal nodes the best.
    static func sorted(_ found: [(node: Int32, log: Float)]) -> Beam {
        var beam = Beam()
        for (node, log) in found.sorted(by: { ($0.node, -$0.log) < ($1.node, -$1.log) }) where beam.nodes.last != node {
            beam.nodes.append(node)
            beam.logs.append(log)
        }
        return beam
    }
}

/// Where the `count` largest values are, in ascending order of places; of equal ones the first.
package func bestPlaces(_ values: [Float], _ count: Int) -> [Int] {
    if count >= values.count { return Array(values.indices) }
    if count <= 0 { return [] }
    let least = nthLargest(values, count)
    var numEqual = count - values.reduce(into: 0) { $0 += $1 > least ? 1 : 0 }
    var places: [Int] = []
    places.reserveCapacity(count)
    for (place, value) in values.enumerated() {
        if value > least {
            places.append(place)
        } else if value == least && numEqual > 0 {
            places.append(place)
            numEqual -= 1
        }
    }
    return places
}

// The value that `count - 1` others are at least as large as: Hoare's selection, on a copy.
private func nthLargest(_ values: [Float], _ count: Int) -> Float {
    var copy = values
    return copy.withUnsafeMutableBufferPointer { v in
        let wanted = count - 1
        var low = 0, high = v.count - 1
        while low < high {
            let middle = low + (high - low) / 2
            // The median of three, against beams that are in order.
            if v[middle] > v[low] { v.swapAt(middle, low) }
            if v[high] > v[low] { v.swapAt(high, low) }
            if v[high] > v[middle] { v.swapAt(high, middle) }
            let pivot = v[middle]
            var i = low, j = high
            while i <= j {
                while v[i] > pivot { i += 1 }
                while v[j] < pivot { j -= 1 }
                if i <= j {
                    v.swapAt(i, j)
                    i += 1
                    j -= 1
                }
            }
            if wanted <= j {
                high = j
            } else if wanted >= i {
                low = i
            } else {
                break
            }
        }
        return v[wanted]
    }
}
