import Foundation

/// Weights that vectors are multiplied by.
protocol WeightMatrix {
    var rows: Int { get }
    var columns: Int { get }
    /// Writes `x` times the matrix, for each of `count` vectors: (count, columns) to (count, rows).
    func multiply(_ x: UnsafePointer<Float>, count: Int, into y: UnsafeMutablePointer<Float>, threads: Int)
}

/// Calls `work` for parts of some rows, on as many threads; the parts write to rows of their own.
func inParts(of rows: Int, _ parts: Int, _ work: @escaping @Sendable (Range<Int>) -> Void) {
    if parts == 1 { return work(0..<rows) }
    let step = (rows + parts - 1) / parts
    DispatchQueue.concurrentPerform(iterations: parts) { work(min($0 * step, rows)..<min(($0 + 1) * step, rows)) }
}

/// A weight matrix of fp16 values that lie in a mapped file, (rows, columns), row by row.
struct Matrix: WeightMatrix {
    let rows: Int
    let columns: Int
    let values: UnsafeRawPointer

    init(_ tensor: Safetensors.Tensor) {
        (rows, columns) = (tensor.shape[0], tensor.shape[1])
        values = tensor.values
    }

    func multiply(_ x: UnsafePointer<Float>, count: Int, into y: UnsafeMutablePointer<Float>, threads: Int) {
        nonisolated(unsafe) let (x, y, matrix) = (x, y, self)
        inParts(of: rows, rows * columns * count < Self.leastForThreads ? 1 : threads) { matrix.multiply($0, x, count, y) }
    }

    private static let leastForThreads = 1 << 17

    private func multiply(_ span: Range<Int>, _ x: UnsafePointer<Float>, _ count: Int, _ y: UnsafeMutablePointer<Float>) {
        for row in span {
            let weights = values + row * columns * 2
            var vector = 0
            while vector + 4 <= count {
                let sums = dot4(weights, x + vector * columns)
                for lane in 0..<4 { y[(vector + lane) * rows + row] = sums[lane] }
                vector += 4
            }
            while vector < count {
                y[vector * rows + row] = dot(weights, x + vector * columns)
                vector += 1
            }
        }
    }

    @inline(__always)
    private func weight(_ weights: UnsafeRawPointer, _ column: Int) -> SIMD16<Float> {
        SIMD16<Float>(weights.loadUnaligned(fromByteOffset: 2 * column, as: SIMD16<Float16>.self))
    }

    @inline(__always)
    private func load(_ x: UnsafePointer<Float>, _ column: Int) -> SIMD16<Float> {
        UnsafeRawPointer(x + column).loadUnaligned(as: SIMD16<Float>.self)
    }

    @inline(__always)
    private func dot(_ weights: UnsafeRawPointer, _ x: UnsafePointer<Float>) -> Float {
        var (first, second) = (SIMD16<Float>.zero, SIMD16<Float>.zero)
        var column = 0
        while column + 32 <= columns {
            first += weight(weights, column) * load(x, column)
            second += weight(weights, column + 16) * load(x, column + 16)
            column += 32
        }
        return (first + second).sum() + rest(weights, x, from: column)
    }

    @inline(__always)
    private func dot4(_ weights: UnsafeRawPointer, _ x: UnsafePointer<Float>) -> SIMD4<Float> {
        var sums = (SIMD16<Float>.zero, SIMD16<Float>.zero, SIMD16<Float>.zero, SIMD16<Float>.zero)
        var column = 0
        while column + 16 <= columns {
            let w = weight(weights, column)
            sums.0 += w * load(x, column)
            sums.1 += w * load(x + columns, column)
            sums.2 += w * load(x + 2 * columns, column)
            sums.3 += w * load(x + 3 * columns, column)
            column += 16
        }
        var found = SIMD4(sums.0.sum(), sums.1.sum(), sums.2.sum(), sums.3.sum())
        if column < columns {
            for lane in 0..<4 { found[lane] += rest(weights, x + lane * columns, from: column) }
        }
        return found
    }

    @inline(__always)
    private func rest(_ weights: UnsafeRawPointer, _ x: UnsafePointer<Float>, from start: Int) -> Float {
        var sum: Float = 0
        for column in start..<columns {
            sum += Float(weights.loadUnaligned(fromByteOffset: 2 * column, as: Float16.self)) * x[column]
        }
        return sum
    }
}
