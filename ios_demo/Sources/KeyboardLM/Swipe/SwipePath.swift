import Foundation

/// Where a finger was, and when.
public struct PathPoint: Equatable, Sendable {
    /// In key widths from the left, and key heights from the top, as `Tap` has them.
    public let x, y: Double
    /// Milliseconds since any moment.
    public let ms: Double

    public init(x: Double, y: Double, ms: Double) { (self.x, self.y, self.ms) = (x, y, ms) }
}

/// The way a finger slid over a keyboard: checked, and told from a tap. `keyboard_lm/touch/path.py` is the law.
package enum SwipePath {
    package static let mostPoints = 10_000
    /// A key's height in key widths.
    package static let keyAspect = 1.5
    private static let tapExtent = 0.6

    /// Whether a finger stayed where it came down, so that its key was typed and nothing drawn.
    ///
    /// - Throws: `KeyboardLMError` as `Track` does.
    package static func isTap(_ points: [PathPoint]) throws -> Bool {
        try check(points)
        let x = points.map(\.x), y = points.map(\.y)
        let (width, height) = ((x.max() ?? 0) - (x.min() ?? 0), (y.max() ?? 0) - (y.min() ?? 0))
        return max(width, height * keyAspect) < tapExtent
    }

    static func check(_ points: [PathPoint]) throws {
        guard (1...mostPoints).contains(points.count) else {
            throw KeyboardLMError(
                "a swipe of \(grouped(points.count)) points cannot be read; send 1 to \(grouped(mostPoints))")
        }
        if let place = points.firstIndex(where: { !($0.x.isFinite && $0.y.isFinite && $0.ms.isFinite) }) {
            throw KeyboardLMError("point \(place + 1) of the swipe is not a place and a time; leave it out")
        }
    }

    private static func grouped(_ number: Int) -> String {
        number < 1000 ? "\(number)" : grouped(number / 1000) + "," + String("\(1000 + number % 1000)".dropFirst())
    }
}

/// A path as points at even distances, in key widths both ways.
package struct Track {
    /// Of the points; y is in key widths, too.
    package let x, y: [Float]
    /// At the points, relative to the path's mean; 1 where times are not known.
    package let speeds: [Float]
    /// Of the path, in key widths.
    package let length: Double

    package var count: Int { x.count }

    private static let spacing = 0.4, fewest = 8, most = 56, mostSpeed = 100.0, latest = 1e12, margin = 2.0

    /// - Throws: `KeyboardLMError` where there is no point, there are more than 10,000, or one's numbers are none.
    package init(_ points: [PathPoint], on layout: Layout) throws {
        try SwipePath.check(points)
        let bottom = Double(layout.rows.count) + Self.margin, right = layout.width + Self.margin
        let xs = points.map { min(max($0.x, -Self.margin), right) }
        let ys = points.map { min(max($0.y, -Self.margin), bottom) * SwipePath.keyAspect }
        var times = points.map { min(max($0.ms, -Self.latest), Self.latest) }
        var along = [0.0]
        for place in points.indices.dropFirst() {
            times[place] = max(times[place], times[place - 1])  // clocks that go back stand still
            let step = hypot(xs[place] - xs[place - 1], ys[place] - ys[place - 1])
            along.append(along[place - 1] + step)
        }
        let whole = along[along.count - 1], duration = times[times.count - 1] - times[0]
        let count = min(max(Int((whole / Self.spacing).rounded(.up)) + 1, Self.fewest), Self.most)
        let step = whole / Double(count - 1)
        let wanted = (0..<count).map { $0 == count - 1 ? whole : Double($0) * step }
        x = wanted.map { Float(Self.interpolated($0, along, xs)) }
        y = wanted.map { Float(Self.interpolated($0, along, ys)) }
        speeds = Self.speeds(wanted, along, times, whole, duration)
        length = whole
    }

    private static func speeds(
        _ wanted: [Double], _ along: [Double], _ times: [Double], _ length: Double, _ duration: Double
    ) -> [Float] {
        guard length >= 1e-9, duration > 0 else { return [Float](repeating: 1, count: wanted.count) }
        let half = length / Double(wanted.count - 1) / 2, mean = length / duration
        // A finger at rest has been at one place at many times: it came when it first was there, and went when it last was.
        let tiny = length * 1e-9
        let strictly = along.enumerated().map { $1 + Double($0) * tiny }
        return wanted.map { place in
            let from = min(max(place - half, 0), length), to = min(max(place + half, 0), length)
            let came = interpolated(from, strictly, times)
            let went = interpolated(to + Double(along.count) * tiny, strictly, times)
            return Float(min((to - from) / max(went - came, 1e-3) / mean, mostSpeed))
        }
    }

    // The value at a place between the last known place that is not behind it and the next; the ends' values outside.
    private static func interpolated(_ at: Double, _ places: [Double], _ values: [Double]) -> Double {
        if at < places[0] { return values[0] }
        var low = 0, high = places.count
        while high - low > 1 {
            let middle = (low + high) / 2
            if places[middle] <= at { low = middle } else { high = middle }
        }
        if high == places.count || places[low] == at { return values[low] }
        let slope = (values[high] - values[low]) / (places[high] - places[low])
        return slope * (at - places[low]) + values[low]
    }
}
