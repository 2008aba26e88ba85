import Foundation

/// One network's shape, as `config.json` has it; the names are OpenELM's.
package struct ModelConfig: Sendable {
    package let numLayers: Int
    package let modelDim: Int
    package let headDim: Int
    package let vocabularySize: Int
    package let maxContextLength: Int
    package let numQueryHeads: [Int]
    package let numKeyValueHeads: [Int]
    package let rotaryBase: Float
    package let normEpsilon: Float

    private struct File: Decodable {
        let num_transformer_layers, model_dim, head_dim, vocab_size, max_context_length: Int
        let num_query_heads, num_kv_heads: [Int]
        let rope_freq_constant, rms_norm_eps: Float
    }

    /// - Throws: `KeyboardLMError` where the file is missing, no configuration, or contradicts itself.
    package init(file: URL) throws {
        let read = try JSONFile.read(File.self, from: file, hint: "no model configuration")
        numLayers = read.num_transformer_layers
        modelDim = read.model_dim
        headDim = read.head_dim
        vocabularySize = read.vocab_size
        maxContextLength = read.max_context_length
        numQueryHeads = read.num_query_heads
        numKeyValueHeads = read.num_kv_heads
        rotaryBase = read.rope_freq_constant
        normEpsilon = read.rms_norm_eps
        let sizes = [numLayers, modelDim, headDim, vocabularySize, maxContextLength] + numQueryHeads + numKeyValueHeads
        let isSane =
            sizes.allSatisfy { (1...1 << 20).contains($0) } && headDim % 2 == 0 && numLayers <= 1024
            && numQueryHeads.count == numLayers && numKeyValueHeads.count == numLayers
            && zip(numQueryHeads, numKeyValueHeads).allSatisfy { $0 % $1 == 0 }
        guard isSane else { throw KeyboardLMError("\(file.path): sizes that no network has; export the model again") }
    }
}
