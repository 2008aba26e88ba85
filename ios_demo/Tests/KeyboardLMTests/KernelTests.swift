import Foundation
import KeyboardLM
import KeyboardLMKernels
import Testing

/// The C kernels of the network, against what they stand for written plainly.
struct KernelTests {
    private var random = SplitMix(state: 21)

    private mutating func vector(_ count: Int) -> [Float] {
        (0..<count).map { _ in Float(random.next() >> 40) / Float(1 << 23) - 1 }
    }

    @Test mutating func productsOfRoundedRowsAreThoseOfWhatTheyStandFor() {
        for (rows, columns, count) in [(1, 1, 1), (3, 15, 2), (7, 33, 4), (6, 64, 9), (5, 40, 5)] {
            var weights = [Int8](repeating: 0, count: rows * columns), scales = [Float](repeating: 0, count: rows)
            for row in 0..<rows {
                let plain = vector(columns)
                weights.withUnsafeMutableBufferPointer { weights in
                    scales.withUnsafeMutableBufferPointer { scales in
                        klm_round_weights(plain, columns, weights.baseAddress! + row * columns, scales.baseAddress! + row)
                    }
                }
                for column in 0..<columns {
                    #expect(abs(Float(weights[row * columns + column]) * scales[row] - plain[column]) <= scales[row] * 0.501)
                }
            }
            var vectors = [Int16](repeating: 0, count: count * columns), vectorScales = [Float](repeating: 0, count: count)
            for number in 0..<count {
                let plain = vector(columns)
                vectors.withUnsafeMutableBufferPointer { vectors in
                    vectorScales.withUnsafeMutableBufferPointer { scales in
                        klm_round_vector(plain, columns, vectors.baseAddress! + number * columns, scales.baseAddress! + number)
                    }
                }
            }
            var found = [Float](repeating: .nan, count: count * rows)
            klm_multiply(weights, scales, 0, rows, rows, columns, vectors, vectorScales, count, &found)
            for number in 0..<count {
                for row in 0..<rows {
                    var sum = 0
                    for column in 0..<columns { sum += Int(weights[row * columns + column]) * Int(vectors[number * columns + column]) }
                    #expect(found[number * rows + row] == Float(sum) * (scales[row] * vectorScales[number]))
                }
            }
        }
    }

    @Test func aRowOfZerosStaysZero() {
        var weights: [Int8] = [1, 1], scale: Float = 1
        klm_round_weights([0, 0], 2, &weights, &scale)
        #expect(weights == [0, 0] && scale == 0)
    }

    @Test mutating func probabilitiesAreThoseOfTheLibrary() {
        let logits = vector(1001).map { $0 * 30 }
        let found = Distribution(logits: logits, DistributionRoom()), largest = Double(logits.max() ?? 0)
        let parts = logits.map { exp(Double($0) - largest) }, total = parts.reduce(0, +)
        #expect(found.count == logits.count)
        for (place, part) in parts.enumerated() { #expect(abs(Double(found[place]) - part / total) <= 4e-6 * part / total + 1e-37) }
    }

    @Test mutating func distributionsKeepTheirValuesWhileOthersComeAndGo() {
        let room = DistributionRoom()
        var held: [(found: Distribution, logits: [Float])] = []
        for round in 0..<600 {
            let logits = vector(round < 500 ? 40 : 41)  // another vocabulary at the end
            held.append((Distribution(logits: logits, room), logits))
            if round % 3 == 0 { held.removeFirst(held.count / 4) }
            if round % 200 == 199 { room.clear() }
        }
        for (found, logits) in held {
            let again = Distribution(logits: logits, DistributionRoom())
            #expect(logits.indices.allSatisfy { found[$0] == again[$0] })
        }
        #expect(Distribution().count == 0)
    }

    @Test mutating func attentionSeesOnlyWhatItMay() {
        let (slots, head, length) = (7, 6, 4)
        let (query, keys, values) = (vector(head), vector(slots * head), vector(slots * head)), seen: [UInt8] = [1, 0, 1]
        var scores = [Float](repeating: 0, count: slots), out = [Float](repeating: 0, count: head)
        klm_attend(query, keys, values, seen, length, slots, head, 0.5, &scores, &out)
        let visible = (0..<slots).filter { $0 < length || seen[$0 - length] == 1 }
        let worths = visible.map { slot in exp(0.5 * (0..<head).reduce(0.0) { $0 + Double(query[$1] * keys[slot * head + $1]) }) }
        let total = worths.reduce(0, +)
        for channel in 0..<head {
            let expected = zip(visible, worths).reduce(0.0) { $0 + $1.1 / total * Double(values[$1.0 * head + channel]) }
            #expect(abs(Double(out[channel]) - expected) < 1e-5)
        }
    }
}
