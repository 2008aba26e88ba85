import Foundation

/// A Core ML package behind the backend protocol: padded to its fixed shapes, with masks, rotary rows and positions.
///
/// New tokens are given to the smallest function that holds them, or to several one after the other. Slots that a call has no
/// tokens for are given its last token once more: what they leave behind is finite, and never attended to.
/// `coreml/keyboard_lm_coreml/execute/backend.py` is the law.
package final class PackageBackend: Backend {
    package let capacity: Int
    package private(set) var length = 0
    package var vocabularySize: Int { config.vocabularySize }
    package var maxContextLength: Int { config.maxContextLength }
    private let runner: any FunctionRunner
    private let contract: Contract
    private let config: ModelConfig
    private let rope: [Float]  // (S, 2 D)

    package init(_ runner: any FunctionRunner, _ contract: Contract, _ config: ModelConfig) {
        (self.runner, self.contract, self.config) = (runner, contract, config)
        capacity = min(config.maxContextLength, contract.numSlots)
        rope = Self.ropeRows(config, contract.numSlots)
    }

    package func prefill(_ ids: [Int]) throws -> [Float] {
        try check(start: 0, ids)
        length = 0
        return try decode(ids)
    }

    package func decode(_ ids: [Int]) throws -> [Float] {
        try check(start: length, ids)
        let start = length
        var done = 0
        while true {
            let place = start + done, entry = self.entry(for: ids.count - done, at: place, isTree: false)
            let numNew = min(entry.numTokens, ids.count - done)
            let seen = (0..<numNew).map { Seen(upTo: place + $0 + 1, also: []) }
            let part = Array(ids[done..<done + numNew])
            let logits = try call(entry, part, at: place, positions: Array(place..<place + numNew), seen)
            done += numNew
            if done == ids.count {
                length = start + done
                return row(entry.isPrefill ? 0 : numNew - 1, of: logits)
            }
        }
    }

    package func scoreTree(_ ids: [Int], parents: [Int]) throws -> [[Float]] {
        try check(start: length, ids)
        guard parents.count == ids.count, parents.indices.allSatisfy({ (-1..<$0).contains(parents[$0]) }) else {
            throw KeyboardLMError("a tree has one parent for each token, and a parent comes before its child")
        }
        var depths: [Int] = [], seen: [Seen] = []
        for (node, parent) in parents.enumerated() {
            depths.append(parent < 0 ? 0 : depths[parent] + 1)
            seen.append(Seen(upTo: length, also: (parent < 0 ? [] : seen[parent].also) + [length + node]))
        }
        var found: [[Float]] = []
        while found.count < ids.count {
            let done = found.count
            let entry = self.entry(for: ids.count - done, at: length + done, isTree: true)
            let part = done..<min(done + entry.numTokens, ids.count)
            let logits = try call(
                entry, Array(ids[part]), at: length + done, positions: depths[part].map { length + $0 }, Array(seen[part]))
            for number in 0..<part.count { found.append(row(number, of: logits)) }
        }
        return found
    }

    package func rewind(_ length: Int) { self.length = min(max(length, 0), self.length) }

    // Which slots a token attends to: the first ones, and some behind them.
    private struct Seen {
        let upTo: Int
        let also: [Int]
    }

    // Writes tokens into the slots from a place on; returns (T, V), or (1, V) from a prefill function.
    private func call(
        _ entry: Contract.Entry, _ ids: [Int], at place: Int, positions: [Int], _ seen: [Seen]
    ) throws -> [Float] {
        let slots = contract.numSlots, width = 2 * config.headDim
        var mask = [Float](repeating: FunctionInputs.masked, count: entry.numTokens * slots)
        var rope: [Float] = [], tokens: [Int32] = []
        for token in 0..<entry.numTokens {
            let padded = min(token, ids.count - 1)
            tokens.append(Int32(ids[padded]))
            rope += self.rope[positions[padded] * width..<(positions[padded] + 1) * width]
            for slot in 0..<seen[padded].upTo { mask[token * slots + slot] = 0 }
            for slot in seen[padded].also { mask[token * slots + slot] = 0 }
        }
        var row: [Float]?
        if entry.isPrefill {
            row = [Float](repeating: 0, count: entry.numTokens)
            row?[ids.count - 1] = 1
        }
        let inputs = FunctionInputs(tokenIDs: tokens, position: Int32(place), mask: mask, rope: rope, row: row)
        let logits = try runner.run(entry.name, inputs)
        guard logits.count == (entry.isPrefill ? 1 : entry.numTokens) * config.vocabularySize else {
            throw KeyboardLMError("\(entry.name) returned \(logits.count) logits; export the model again")
        }
        return logits
    }

    // The smallest function that holds the tokens, or else the largest; its slots may not reach behind the state's.
    private func entry(for numNew: Int, at place: Int, isTree: Bool) -> Contract.Entry {
        let fitting = contract.entries.filter { place + $0.numTokens <= contract.numSlots && !(isTree && $0.isPrefill) }
        return fitting.first { $0.numTokens >= numNew } ?? fitting.last ?? contract.entries[0]
    }

    private func row(_ number: Int, of logits: [Float]) -> [Float] {
        Array(logits[number * vocabularySize..<(number + 1) * vocabularySize])
    }

    /// Cosines, then sines, of the rotary angles of each position, (S, 2 D), for half-split pairs.
    package static func ropeRows(_ config: ModelConfig, _ numSlots: Int) -> [Float] {
        let half = config.headDim / 2
        let frequencies = (0..<half).map { pow(config.rotaryBase, -Float(2 * $0) / Float(config.headDim)) }
        return (0..<numSlots).flatMap { position in
            let angles = frequencies.map { Float(position) * $0 }
            let cosines = angles.map { cos($0) }, sines = angles.map { sin($0) }
            return cosines + cosines + sines + sines
        }
    }
}
