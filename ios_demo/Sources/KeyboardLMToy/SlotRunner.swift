import KeyboardLM

/// A package's functions computed by another network, token by token from what each may attend to: whoever pads, masks or numbers
/// wrongly gets other logits than that network.
package final class SlotRunner: FunctionRunner {
    /// Each call: its function and what it was given.
    package private(set) var calls: [(function: String, inputs: FunctionInputs)] = []
    private let network: any Backend
    private let contract: Contract
    private let rope: [Float]  // (S, 2 D)
    private var slots: [Int]

    package init(_ network: any Backend, _ contract: Contract, _ config: ModelConfig) {
        (self.network, self.contract) = (network, contract)
        rope = PackageBackend.ropeRows(config, contract.numSlots)
        slots = [Int](repeating: 0, count: contract.numSlots)
    }

    package func run(_ function: String, _ inputs: FunctionInputs) throws -> [Float] {
        calls.append((function, inputs))
        let numTokens = inputs.tokenIDs.count, start = Int(inputs.position), width = inputs.rope.count / numTokens
        for (place, id) in inputs.tokenIDs.enumerated() { slots[start + place] = Int(id) }
        let wanted = inputs.row.map { $0.indices.filter { inputs.row?[$0] == 1 } } ?? Array(0..<numTokens)
        return try wanted.flatMap { token in
            let row = inputs.mask[token * slots.count..<(token + 1) * slots.count]
            let seen = row.enumerated().filter { $0.element == 0 }.map(\.offset)
            // The angles have to be those of the token's place among what it sees.
            let place = seen.count - 1
            guard place >= 0, inputs.rope[token * width..<(token + 1) * width] == rope[place * width..<(place + 1) * width] else {
                throw KeyboardLMError("token \(token) of \(function) is turned as one of another place")
            }
            return try network.prefill(seen.map { slots[$0] })
        }
    }
}
