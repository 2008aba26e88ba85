import Foundation
import KeyboardLMKernels

/// What the weights of the network on the processor are multiplied in.
public enum Precision: String, Sendable {
    /// As the checkpoint has them, mapped and widened: the reference, and no memory that has to be written.
    case half
    /// Rounded to 8 bits when the network is opened: several times as fast, and half of the file's size in memory.
    case rounded
}

/// OpenELM on the processor, in single precision over the checkpoint's fp16 weights, or over these rounded to 8 bits.
///
/// The reference on every system, what answers until Core ML has loaded, and what is left when it fails.
package final class CPUBackend: Backend {
    package let capacity: Int
    package private(set) var length = 0
    package var vocabularySize: Int { config.vocabularySize }
    package var maxContextLength: Int { config.maxContextLength }

    private struct Layer {
        let attentionNorm, feedForwardNorm, queryNorm, keyNorm: [Float]
        let inProjection, outProjection, gateAndUp, down: any WeightMatrix
        let queryHeads, keyValueHeads: Int
    }

    private let config: ModelConfig
    private let weights: Safetensors  // owns what the matrices point to
    private let layers: [Layer]
    private let finalNorm: [Float]
    private let table: any WeightMatrix
    private let embeddings: UnsafeRawPointer  // (V, C), fp16
    private let threads: Int
    private let cosines: [Float]  // (S, D/2)
    private let sines: [Float]
    private var keys: [[Float]]  // of each layer, (G, S, D)
    private var values: [[Float]]

    /// - Parameters:
    ///   - folder: with `config.json` and `model.safetensors`.
    ///   - capacity: slots of the cache; nil for the context length that the network was trained for.
    ///   - threads: of the larger products.
    ///   - precision: of the weights.
    /// - Throws: `KeyboardLMError` where a file is missing, damaged, or does not fit the configuration.
    package init(folder: URL, capacity: Int? = nil, threads: Int = 2, precision: Precision = .half) throws {
        config = try ModelConfig(file: folder.appending(path: "config.json"))
        weights = try Safetensors(file: folder.appending(path: "model.safetensors"))
        self.capacity = capacity ?? config.maxContextLength
        self.threads = max(1, threads)
        let (dim, head) = (config.modelDim, config.headDim)
        func matrix(_ tensor: Safetensors.Tensor) throws -> any WeightMatrix {
            precision == .half ? Matrix(tensor) : try RoundedMatrix(tensor)
        }
        var layers: [Layer] = []
        for index in 0..<config.numLayers {
            let name = "transformer.layers.\(index)."
            let (queries, groups) = (config.numQueryHeads[index], config.numKeyValueHeads[index])
            let width = try weights.shape(name + "ffn.proj_2.weight").last ?? 0
            layers.append(
                Layer(
                    attentionNorm: try Self.vector(weights, name + "attn_norm.weight", dim),
                    feedForwardNorm: try Self.vector(weights, name + "ffn_norm.weight", dim),
                    queryNorm: try Self.vector(weights, name + "attn.q_norm.weight", head),
                    keyNorm: try Self.vector(weights, name + "attn.k_norm.weight", head),
                    inProjection: try matrix(
                        weights.tensor(name + "attn.qkv_proj.weight", [(queries + 2 * groups) * head, dim])),
                    outProjection: try matrix(weights.tensor(name + "attn.out_proj.weight", [dim, queries * head])),
                    gateAndUp: try matrix(weights.tensor(name + "ffn.proj_1.weight", [2 * width, dim])),
                    down: try matrix(weights.tensor(name + "ffn.proj_2.weight", [dim, width])),
                    queryHeads: queries, keyValueHeads: groups))
        }
        self.layers = layers
        finalNorm = try Self.vector(weights, "transformer.norm.weight", dim)
        let shared = try weights.tensor("transformer.token_embeddings.weight", [config.vocabularySize, dim])
        (table, embeddings) = (try matrix(shared), shared.values)
        let half = head / 2
        var cosines: [Float] = [], sines: [Float] = []
        for position in 0..<self.capacity {
            for pair in 0..<half {
                let angle = Double(position) / pow(Double(config.rotaryBase), Double(pair) / Double(half))
                cosines.append(Float(cos(angle)))
                sines.append(Float(sin(angle)))
            }
        }
        (self.cosines, self.sines) = (cosines, sines)
        let slots = self.capacity
        keys = config.numKeyValueHeads.map { [Float](repeating: 0, count: $0 * slots * head) }
        values = keys
    }

    package func prefill(_ ids: [Int]) throws -> [Float] {
        try check(start: 0, ids)
        length = 0
        return try decode(ids)
    }

    package func decode(_ ids: [Int]) throws -> [Float] {
        try check(start: length, ids)
        let positions = ids.indices.map { length + $0 }
        let last = forward(ids, positions: positions, seen: nil, logitsOf: ids.count - 1..<ids.count)[0]
        length += ids.count
        return last
    }

    package func scoreTree(_ ids: [Int], parents: [Int]) throws -> [[Float]] {
        try check(start: length, ids)
        guard parents.count == ids.count, parents.indices.allSatisfy({ (-1..<$0).contains(parents[$0]) }) else {
            throw KeyboardLMError("a tree has one parent for each token, and a parent comes before its child")
        }
        let count = ids.count
        var depths: [Int] = []
        var seen = [UInt8](repeating: 0, count: count * count)  // of each node, itself and those before it on its path
        for (node, parent) in parents.enumerated() {
            depths.append(parent < 0 ? 0 : depths[parent] + 1)
            if parent >= 0 {
                for other in 0..<count { seen[node * count + other] = seen[parent * count + other] }
            }
            seen[node * count + node] = 1
        }
        return forward(ids, positions: depths.map { length + $0 }, seen: seen, logitsOf: ids.indices)
    }

    package func rewind(_ length: Int) {
        precondition((0...self.length).contains(length), "the cache holds fewer tokens")
        self.length = length
    }

    // T tokens behind the cache: (T, C) through all layers; logits of some rows, (R, V).
    private func forward(_ ids: [Int], positions: [Int], seen: [UInt8]?, logitsOf rows: Range<Int>) -> [[Float]] {
        let (count, dim) = (ids.count, config.modelDim)
        var x = [Float](repeating: 0, count: count * dim)
        for (token, id) in ids.enumerated() {
            let row = embeddings + id * dim * 2
            for channel in 0..<dim {
                x[token * dim + channel] = Float(row.loadUnaligned(fromByteOffset: 2 * channel, as: Float16.self))
            }
        }
        for index in layers.indices {
            attend(index, &x, count, positions, seen)
            feedForward(layers[index], &x, count)
        }
        let size = config.vocabularySize
        let picked = normalized(Array(x[rows.lowerBound * dim..<rows.upperBound * dim]), rows.count, finalNorm)
        let logits = product(table, picked, rows.count)  // (R, V)
        if rows.count == 1 { return [logits] }
        return (0..<rows.count).map { Array(logits[$0 * size..<($0 + 1) * size]) }
    }

    private func attend(_ index: Int, _ x: inout [Float], _ count: Int, _ positions: [Int], _ seen: [UInt8]?) {
        let layer = layers[index], head = config.headDim, slots = capacity
        var heads = product(layer.inProjection, normalized(x, count, layer.attentionNorm), count)  // (T, (H + 2G) D)
        let width = layer.inProjection.rows
        let (queries, groups) = (layer.queryHeads, layer.keyValueHeads)
        for token in 0..<count {
            for number in 0..<queries + groups {
                let start = token * width + number * head
                heads.withUnsafeMutableBufferPointer {
                    let norm = number < queries ? layer.queryNorm : layer.keyNorm
                    klm_normalize($0.baseAddress! + start, norm, head, config.normEpsilon)
                }
                rotate(&heads, start, positions[token])
            }
            let slot = length + token
            for group in 0..<groups {
                let from = token * width + (queries + group) * head, to = (group * slots + slot) * head
                for channel in 0..<head {
                    keys[index][to + channel] = heads[from + channel]
                    values[index][to + channel] = heads[from + groups * head + channel]
                }
            }
        }
        let scale = 1 / Float(head).squareRoot(), perGroup = queries / groups
        var scores = [Float](repeating: 0, count: length + count)
        let mixed = [Float](unsafeUninitializedCapacity: count * queries * head) { mixed, filled in  // (T, H D)
            for token in 0..<count {
                let stop = length + (seen == nil ? token + 1 : count)
                for number in 0..<queries {
                    let group = number / perGroup * slots * head, query = token * width + number * head
                    func attend(_ seen: UnsafePointer<UInt8>?) {
                        heads.withUnsafeBufferPointer { heads in
                            keys[index].withUnsafeBufferPointer { keys in
                                values[index].withUnsafeBufferPointer { values in
                                    klm_attend(
                                        heads.baseAddress! + query, keys.baseAddress! + group, values.baseAddress! + group, seen, length,
                                        stop, head, scale, &scores, mixed.baseAddress! + (token * queries + number) * head)
                                }
                            }
                        }
                    }
                    if let seen {
                        seen.withUnsafeBufferPointer { attend($0.baseAddress! + token * count) }
                    } else {
                        attend(nil)
                    }
                }
            }
            filled = count * queries * head
        }
        add(product(layer.outProjection, mixed, count), to: &x)
    }

    private func feedForward(_ layer: Layer, _ x: inout [Float], _ count: Int) {
        let both = product(layer.gateAndUp, normalized(x, count, layer.feedForwardNorm), count)  // (T, 2F)
        let width = layer.down.columns
        let gated = [Float](unsafeUninitializedCapacity: count * width) { gated, filled in  // (T, F)
            both.withUnsafeBufferPointer {
                for token in 0..<count {
                    let gate = $0.baseAddress! + token * 2 * width
                    klm_gate(gate, gate + width, width, gated.baseAddress! + token * width)
                }
            }
            filled = count * width
        }
        add(product(layer.down, gated, count), to: &x)
    }

    private func product(_ matrix: any WeightMatrix, _ x: [Float], _ count: Int) -> [Float] {
        [Float](unsafeUninitializedCapacity: count * matrix.rows) { buffer, filled in
            x.withUnsafeBufferPointer {
                matrix.multiply($0.baseAddress!, count: count, into: buffer.baseAddress!, threads: threads)
            }
            filled = count * matrix.rows
        }
    }

    private func normalized(_ x: [Float], _ count: Int, _ weight: [Float]) -> [Float] {
        var x = x
        x.withUnsafeMutableBufferPointer {
            for token in 0..<count { klm_normalize($0.baseAddress! + token * weight.count, weight, weight.count, config.normEpsilon) }
        }
        return x
    }

    private func rotate(_ x: inout [Float], _ start: Int, _ position: Int) {
        let half = config.headDim / 2
        for pair in 0..<half {
            let (cosine, sine) = (cosines[position * half + pair], sines[position * half + pair])
            let (real, imaginary) = (x[start + pair], x[start + half + pair])
            x[start + pair] = real * cosine - imaginary * sine
            x[start + half + pair] = real * sine + imaginary * cosine
        }
    }

    private func add(_ y: [Float], to x: inout [Float]) {
        for index in 0..<min(x.count, y.count) { x[index] += y[index] }
    }

    private static func vector(_ weights: Safetensors, _ name: String, _ count: Int) throws -> [Float] {
        let tensor = try weights.tensor(name, [count])
        return (0..<count).map { Float(tensor.values.loadUnaligned(fromByteOffset: 2 * $0, as: Float16.self)) }
    }
}
