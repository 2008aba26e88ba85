import Foundation

/// How a finger that means a word moves, in nats. `keyboard_lm/swipe/evidence.py` is the law, and says what each figure is.
package struct PathModel: Sendable {
    package var sdX: Float = 0.48, sdY: Float = 0.52, sdEnd: Float = 0.71
    package var way: Float = 0.77, wayMost: Float = 2.5, turn: Float = 1.35
    package var missed: Float = 6, letter: Float = 0.15, slow: Float = 0.5, skipped: Float = 4

    package init() {}
}

/// Costs of one path, the lower the better: of T points and K keys, those of a key, or of a pair of keys, side by side.
struct PathEvidence {
    let numPoints: Int
    /// Of a key being meant at a point, (K, T).
    var letter: [Float]
    /// Of a word beginning with a key at a point, (K, T).
    var first: [Float]
    /// Of what a word that ends at a point has still to pay, its last letter apart, (K, T).
    var last: [Float]
    /// Of the path up to a point if it leads straight from one key to another, (K * K, T).
    var way: [Float]
    /// The least that the path from a point on can cost, (T).
    var rest: [Float]
    /// Of each point, the least cost of a key there or at any later one, (K, T).
    var later: [Float]
}

/// Turns paths into evidence by where a layout's keys are.
struct Emissions {
    let model: PathModel
    let x, y: [Float]  // of the keys, in key widths

    init(_ layout: Layout, _ keys: [UInt32], _ model: PathModel) {
        self.model = model
        let places = KeyPlaces(layout)
        let centres = keys.compactMap(places.centre)
        x = centres.map { Float($0.x) }
        y = centres.map { Float($0.y * SwipePath.keyAspect) }
    }

    func evidence(of track: Track) -> PathEvidence {
        let num = track.count, numKeys = x.count
        let step = Float(track.length / Double(num - 1))
        let passed = (0..<num).map { Float($0) * (step * model.skipped) }
        let zeros = [Float](repeating: 0, count: numKeys * num)
        var found = PathEvidence(
            numPoints: num, letter: zeros, first: zeros, last: zeros, way: ways(track, step), rest: [], later: zeros)
        for key in 0..<numKeys {
            for point in 0..<num {
                let across = (track.x[point] - x[key]) / model.sdX, down = (track.y[point] - y[key]) / model.sdY
                let near = Self.capped((across * across + down * down) / 2, model.missed)
                let slow = model.slow * log2(min(max(track.speeds[point], 0.25), 4))
                let place = key * num + point
                let end = near / (model.sdEnd * model.sdEnd) + model.letter
                found.letter[place] = near + (model.letter + slow)
                found.first[place] = end + passed[point]
                found.last[place] = end - found.letter[place] + passed[num - 1 - point]
            }
            var least = Float.infinity
            for point in (0..<num).reversed() {
                least = min(least, found.letter[key * num + point])
                found.later[key * num + point] = least
            }
        }
        found.rest = rest(found.way, num)
        return found
    }

    // A distance that costs no more than a missed letter, smoothly: -log(exp(-near) + exp(-most)).
    private static func capped(_ near: Float, _ most: Float) -> Float {
        let (low, high) = (min(near, most), max(near, most))
        return low - log1p(exp(low - high))
    }

    // Of each pair of keys, what the path has cost up to each point.
    private func ways(_ track: Track, _ step: Float) -> [Float] {
        let num = track.count, numKeys = x.count, safe = max(step, 1e-6), most = model.wayMost * model.wayMost
        var total = [Float](repeating: 0, count: numKeys * numKeys * num)
        total.withUnsafeMutableBufferPointer { total in
            for from in 0..<numKeys {
                for to in 0..<numKeys {
                    let wayX = x[to] - x[from], wayY = y[to] - y[from], length = hypot(wayX, wayY)
                    let alongX = wayX / max(length, 1e-6), alongY = wayY / max(length, 1e-6)
                    let begin = (from * numKeys + to) * num
                    for point in 1..<num {
                        let middleX = (track.x[point] + track.x[point - 1]) / 2 - x[from]
                        let middleY = (track.y[point] + track.y[point - 1]) / 2 - y[from]
                        let across = middleY * alongX - middleX * alongY, along = middleX * alongX + middleY * alongY
                        let beyond = max(max(-along, along - length), 0)
                        let off = min(across * across + beyond * beyond, most)
                        let moveX = (track.x[point] - track.x[point - 1]) / safe
                        let moveY = (track.y[point] - track.y[point - 1]) / safe
                        let turn = 1 - (moveX * alongX + moveY * alongY)
                        let cost = off * (model.way * step) + turn * (model.turn * step)
                        total[begin + point] = total[begin + point - 1] + cost
                    }
                }
            }
        }
        return total
    }

    private func rest(_ way: [Float], _ num: Int) -> [Float] {
        var rest = [Float](repeating: 0, count: num)
        for point in (0..<num - 1).reversed() {
            var least = Float.infinity
            for begin in stride(from: 0, to: way.count, by: num) {
                least = min(least, way[begin + point + 1] - way[begin + point])
            }
            rest[point] = rest[point + 1] + least
        }
        return rest
    }
}
