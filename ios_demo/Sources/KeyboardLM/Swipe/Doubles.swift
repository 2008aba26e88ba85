import Foundation

/// How long fingers are at a letter. `keyboard_lm/swipe/doubles.py` is the law, and says what each figure is.
package struct RestModel: Sendable {
    package var single = -0.54, singleSD = 0.83, double = 0.05, doubleSD = 0.6
    package var radius = 0.6, resting = 0.4, most = 1.5

    package init() {}
}

/// What a finger's rests say about letters that are written twice: "to" and "too" lead over the same keys.
struct Doubles {
    let model: RestModel
    let x, y: [Float]  // of the keys, in key widths

    /// The share of a path's time that was spent at each key.
    func shares(_ track: Track) -> [Double] {
        let times = track.speeds.map { 1 / max(Double($0), 1e-3) }, total = times.reduce(0, +)
        return x.indices.map { key in
            var spent = 0.0
            for point in times.indices {
                let across = Double(track.x[point] - x[key]), down = Double(track.y[point] - y[key])
                if across * across + down * down < model.radius * model.radius { spent += times[point] }
            }
            return spent / total
        }
    }

    /// How much likelier a word is for its doubled letters than one that has them once.
    func logRatio(_ shares: [Double], _ doubled: [Int], numLetters: Int) -> Double {
        doubled.reduce(0) { total, key in
            let rest = log(shares[key] * Double(numLetters) + 0.05)
            let single = (rest - model.single) / model.singleSD, double = (rest - model.double) / model.doubleSD
            let ratio = (single * single - double * double) / 2 + log(model.singleSD / model.doubleSD)
            return total + log(1 - model.resting + model.resting * exp(min(ratio, model.most)))
        }
    }
}
