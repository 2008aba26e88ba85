import Foundation
import KeyboardLMKernels

/// A weight matrix of 8-bit values with one scale a row, made of one of fp16.
///
/// Vectors are rounded to 13 bits, so that each sum of products is a whole number and exact: the same on every processor.
final class RoundedMatrix: WeightMatrix {
    let rows: Int
    let columns: Int
    private let weights: UnsafeMutablePointer<Int8>
    private let scales: UnsafeMutablePointer<Float>

    /// - Throws: `KeyboardLMError` where sums of its products would not fit 32 bits.
    init(_ tensor: Safetensors.Tensor) throws {
        (rows, columns) = (tensor.shape[0], tensor.shape[1])
        guard columns <= 4096 else {
            throw KeyboardLMError("rows of \(columns) weights are too long to be rounded; open the network in half precision")
        }
        weights = .allocate(capacity: max(1, rows * columns))
        scales = .allocate(capacity: max(1, rows))
        var wide = [Float](repeating: 0, count: columns)
        for row in 0..<rows {
            let halves = tensor.values + 2 * row * columns
            for column in 0..<columns { wide[column] = Float(halves.loadUnaligned(fromByteOffset: 2 * column, as: Float16.self)) }
            klm_round_weights(wide, columns, weights + row * columns, scales + row)
        }
    }

    deinit {
        weights.deallocate()
        scales.deallocate()
    }

    func multiply(_ x: UnsafePointer<Float>, count: Int, into y: UnsafeMutablePointer<Float>, threads: Int) {
        withUnsafeTemporaryAllocation(of: Int16.self, capacity: count * columns) { rounded in
            withUnsafeTemporaryAllocation(of: Float.self, capacity: count) { vectorScales in
                guard let vectors = rounded.baseAddress, let scalesOfVectors = vectorScales.baseAddress else { return }
                for vector in 0..<count {
                    klm_round_vector(x + vector * columns, columns, vectors + vector * columns, scalesOfVectors + vector)
                }
                nonisolated(unsafe) let (matrix, from, by, to) = (self, vectors, scalesOfVectors, y)
                inParts(of: rows, rows * columns * count < Self.leastForThreads ? 1 : threads) { span in
                    klm_multiply(
                        matrix.weights, matrix.scales, span.lowerBound, span.upperBound, matrix.rows, matrix.columns, from, by, count,
                        to)
                }
            }
        }
    }

    private static let leastForThreads = 1 << 22  // a thread that has to be woken costs as much as two million products
}
