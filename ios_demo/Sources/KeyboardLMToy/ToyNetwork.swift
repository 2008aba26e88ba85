import KeyboardLM

/// The toy network of the golden files: integers only, so that its logits are Python's bit for bit.
///
/// `tests/golden/toy_network.py` is the law. It writes down its calls.
package final class ToyNetwork: Backend {
    /// One call: its name, and the tokens, parents or length that it was given.
    package enum Call: Equatable {
        case prefill([Int])
        case decode([Int])
        case scoreTree([Int], parents: [Int])
        case rewind(Int)
    }

    package private(set) var calls: [Call] = []
    package let capacity: Int
    package let maxContextLength: Int
    package var vocabularySize: Int { prior.count }
    package var length: Int { states.count - 1 }

    private let prior: [Int64]
    private var states: [UInt64] = [ToyNetwork.start]

    /// - Parameters:
    ///   - scores: the tokenizer's, of its pieces.
    ///   - maxContextLength: of the network in whose place it stands.
    package init(scores: [Float], maxContextLength: Int) {
        (capacity, self.maxContextLength) = (maxContextLength, maxContextLength)
        prior = scores.map { Int64(min(max((Double($0) / Self.grid).rounded(.toNearestOrEven), -4_194_304), 0)) }
    }

    package func prefill(_ ids: [Int]) -> [Float] {
        calls.append(.prefill(ids))
        states.removeSubrange(1...)
        return fed(ids)
    }

    package func decode(_ ids: [Int]) -> [Float] {
        calls.append(.decode(ids))
        return fed(ids)
    }

    package func scoreTree(_ ids: [Int], parents: [Int]) -> [[Float]] {
        calls.append(.scoreTree(ids, parents: parents))
        var found: [UInt64] = []
        for (id, parent) in zip(ids, parents) {
            found.append(Self.after(parent < 0 ? states[states.count - 1] : found[parent], id))
        }
        return found.map(logits)
    }

    package func rewind(_ length: Int) {
        calls.append(.rewind(length))
        states.removeSubrange(min(length + 1, states.count)...)
    }

    /// Forgets which calls there were.
    package func clearCalls() { calls = [] }

    private func fed(_ ids: [Int]) -> [Float] {
        for id in ids { states.append(Self.after(states[states.count - 1], id)) }
        return logits(states[states.count - 1])
    }

    private func logits(_ state: UInt64) -> [Float] {
        prior.indices.map { id in
            let mixed = Self.mix((UInt64(id) &+ 1) &* Self.step ^ state) >> 43  // 21 bits: from 0 to below 8
            return Float(Double(prior[id] + Int64(mixed)) * Self.grid)
        }
    }

    private static let grid = 1.0 / 262_144
    private static let start: UInt64 = 0x243F_6A88_85A3_08D3
    private static let step: UInt64 = 0x9E37_79B9_7F4A_7C15

    private static func after(_ state: UInt64, _ id: Int) -> UInt64 { mix(state ^ (UInt64(id) &+ 1) &* step) }

    // The finaliser of SplitMix64 (Steele, Lea and Flood 2014).
    private static func mix(_ value: UInt64) -> UInt64 {
        var mixed = (value ^ value >> 30) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ mixed >> 27) &* 0x94D0_49BB_1331_11EB
        return mixed ^ mixed >> 31
    }
}
