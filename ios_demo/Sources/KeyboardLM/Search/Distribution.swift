import Foundation
import KeyboardLMKernels

/// The probabilities of all pieces at one place.
package final class Distribution {
    private let values: UnsafeMutableBufferPointer<Float>
    private let room: DistributionRoom?

    /// That of a place that nothing is known about: of no pieces.
    package init() { (values, room) = (UnsafeMutableBufferPointer(start: nil, count: 0), nil) }

    package init(logits: [Float], _ room: DistributionRoom) {
        (values, self.room) = (room.take(logits.count), room)
        if let start = values.baseAddress { klm_probabilities(logits, logits.count, start) }
    }

    deinit { room?.giveBack(values) }

    package subscript(_ piece: Int) -> Float {
        withUnsafeBufferPointer {
            precondition($0.indices.contains(piece), "a distribution over other pieces")
            return $0[piece]
        }
    }

    package var count: Int { values.count }

    @inline(__always)
    package func withUnsafeBufferPointer<Result>(_ body: (UnsafeBufferPointer<Float>) throws -> Result) rethrows -> Result {
        try withExtendedLifetime(self) { try body(UnsafeBufferPointer(values)) }
    }
}

/// Where distributions lie: pages of their own, used again, the most given back to the system.
///
/// There are a hundred of 32 KB in one word and twenty in the next. Among the small things that are remembered for long, their
/// places would be taken by these, and the process would grow until the heap has room for the most there ever were.
package final class DistributionRoom {
    private var spare: [UnsafeMutableBufferPointer<Float>] = []
    private var count = 0  // of the pieces
    private var numTaken = 0
    private static let numKept = 128  // places that stay, taken or not

    package init() {}

    deinit { clear() }

    /// Gives back to the system what nobody holds.
    package func clear() {
        for place in spare { Self.release(place) }
        spare = []
    }

    fileprivate func take(_ count: Int) -> UnsafeMutableBufferPointer<Float> {
        if count != self.count {
            clear()
            self.count = count
        }
        numTaken += 1
        if let place = spare.popLast() { return place }
        let numBytes = count * MemoryLayout<Float>.stride
        guard let pages = mmap(nil, numBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANON, -1, 0), pages != MAP_FAILED else {
            fatalError("no memory for \(numBytes) bytes")
        }
        return UnsafeMutableBufferPointer(start: pages.bindMemory(to: Float.self, capacity: count), count: count)
    }

    fileprivate func giveBack(_ place: UnsafeMutableBufferPointer<Float>) {
        numTaken -= 1
        if place.count == count && numTaken + spare.count < Self.numKept {
            spare.append(place)
        } else {
            Self.release(place)
        }
    }

    private static func release(_ place: UnsafeMutableBufferPointer<Float>) {
        munmap(place.baseAddress, place.count * MemoryLayout<Float>.stride)
    }
}
