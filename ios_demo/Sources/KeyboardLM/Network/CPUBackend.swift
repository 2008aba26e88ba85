import Foundation

/// OpenELM on the processor, in single precision over the checkpoint's fp16 weights.
///
/// The reference on every system, what answers until Core ML has loaded, and what is left when it fails.
package final class CPUBackend: Backend {
    package let capacity: Int
    package private(set) var length = 0
    package var vocabularySize: Int { config.vocabularySize }
    package var maxContextLength: Int { config.maxContextLength }

    private struct Layer {
        let attentionNorm, feedForwardNorm, queryNorm, keyNorm: [Float]
        let inProjection, outProjection, gateAndUp, down: Matrix
        let queryHeads, keyValueHeads: Int
    }

    private let config: ModelConfig
    private let weights: Safetensors  // owns what the matrices point to
    private let layers: [Layer]
    private let finalNorm: [Float]
    private let table: Matrix
    private let threads: Int
    private let cosines: [Float]  // (S, D/2)
    private let sines: [Float]
    private var keys: [[Float]]  // of each layer, (G, S, D)
    private var values: [[Float]]

    /// - Parameters:
    ///   - folder: with `config.json` and `model.safetensors`.
    ///   - capacity: slots of the cache; nil for the context length that the network was trained for.
    ///   - threads: of the larger products.
    /// - Throws: `KeyboardLMError` where a file is missing, damaged, or does not fit the configuration.
    package init(folder: URL, capacity: Int? = nil, threads: Int = 2) throws {
        config = try ModelConfig(file: folder.appending(path: "config.json"))
        weights = try Safetensors(file: folder.appending(path: "model.safetensors"))
        self.capacity = capacity ?? config.maxContextLength
        self.threads = max(1, threads)
        let (dim, head) = (config.modelDim, config.headDim)
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
                    inProjection: Matrix(
                        try weights.tensor(name + "attn.qkv_proj.weight", [(queries + 2 * groups) * head, dim])),
                    outProjection: Matrix(try weights.tensor(name + "attn.out_proj.weight", [dim, queries * head])),
                    gateAndUp: Matrix(try weights.tensor(name + "ffn.proj_1.weight", [2 * width, dim])),
                    down: Matrix(try weights.tensor(name + "ffn.proj_2.weight", [dim, width])),
                    queryHeads: queries, keyValueHeads: groups))
        }
        self.layers = layers
        finalNorm = try Self.vector(weights, "transformer.norm.weight", dim)
        table = Matrix(try weights.tensor("transformer.token_embeddings.weight", [config.vocabularySize, dim]))
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
        let last = forward(ids, positions: positions, visible: nil, logitsOf: [ids.count - 1])[0]
        length += ids.count
        return last
    }

    package func scoreTree(_ ids: [Int], parents: [Int]) throws -> [[Float]] {
        try check(start: length, ids)
        guard parents.count == ids.count, parents.indices.allSatisfy({ (-1..<$0).contains(parents[$0]) }) else {
            throw KeyboardLMError("a tree has one parent for each token, and a parent comes before its child")
        }
        var depths: [Int] = [], visible: [[Bool]] = []
        for (node, parent) in parents.enumerated() {
            depths.append(parent < 0 ? 0 : depths[parent] + 1)
            var row = parent < 0 ? [Bool](repeating: false, count: ids.count) : visible[parent]
            row[node] = true
            visible.append(row)
        }
        return forward(ids, positions: depths.map { length + $0 }, visible: visible, logitsOf: Array(ids.indices))
    }

    package func rewind(_ length: Int) {
        precondition((0...self.length).contains(length), "the cache holds fewer tokens")
        self.length = length
    }

    // T tokens behind the cache: (T, C) through all layers; logits of some rows, (R, V).
    private func forward(_ ids: [Int], positions: [Int], visible: [[Bool]]?, logitsOf rows: [Int]) -> [[Float]] {
        let (count, dim) = (ids.count, config.modelDim)
        var x = [Float](repeating: 0, count: count * dim)
        for (token, id) in ids.enumerated() {
            let row = table.values + id * dim * 2
            for channel in 0..<dim {
                x[token * dim + channel] = Float(row.loadUnaligned(fromByteOffset: 2 * channel, as: Float16.self))
            }
        }
        for index in layers.indices {
            attend(index, &x, count, positions, visible)
            feedForward(layers[index], &x, count)
        }
        var picked = [Float](repeating: 0, count: rows.count * dim)
        for (place, row) in rows.enumerated() {
            for channel in 0..<dim { picked[place * dim + channel] = x[row * dim + channel] }
        }
        normalize(&picked, rows.count, finalNorm)
        let logits = product(table, picked, rows.count)  // (R, V)
        let size = config.vocabularySize
        return rows.indices.map { Array(logits[$0 * size..<($0 + 1) * size]) }
    }

    private func attend(_ index: Int, _ x: inout [Float], _ count: Int, _ positions: [Int], _ visible: [[Bool]]?) {
        let layer = layers[index], head = config.headDim, slots = capacity
        var normal = x
        normalize(&normal, count, layer.attentionNorm)
        var heads = product(layer.inProjection, normal, count)  // (T, (H + 2G) D)
        let width = layer.inProjection.rows
        let (queries, groups) = (layer.queryHeads, layer.keyValueHeads)
        for token in 0..<count {
            for number in 0..<queries + groups {
                let start = token * width + number * head
                normalizeHead(&heads, start, number < queries ? layer.queryNorm : layer.keyNorm)
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
        var mixed = [Float](repeating: 0, count: count * queries * head)  // (T, H D)
        let scale = 1 / Float(head).squareRoot()
        var scores = [Float](repeating: 0, count: length + count)
        heads.withUnsafeBufferPointer { heads in
            keys[index].withUnsafeBufferPointer { keys in
                values[index].withUnsafeBufferPointer { values in
                    for token in 0..<count {
                        for number in 0..<queries {
                            let group = number / (queries / groups)
                            let query = heads.baseAddress! + token * width + number * head
                            var largest = -Float.infinity
                            let stop = length + (visible == nil ? token + 1 : count)
                            for slot in 0..<stop {
                                if let visible, slot >= length, !visible[token][slot - length] {
                                    scores[slot] = -Float.infinity
                                    continue
                                }
                                let key = keys.baseAddress! + (group * slots + slot) * head
                                scores[slot] = dot(query, key, head) * scale
                                largest = max(largest, scores[slot])
                            }
                            var total: Float = 0
                            for slot in 0..<stop {
                                scores[slot] = scores[slot] == -Float.infinity ? 0 : exp(scores[slot] - largest)
                                total += scores[slot]
                            }
                            let target = (token * queries + number) * head
                            for slot in 0..<stop where scores[slot] != 0 {
                                let share = scores[slot] / total
                                let value = values.baseAddress! + (group * slots + slot) * head
                                for channel in 0..<head { mixed[target + channel] += share * value[channel] }
                            }
                        }
                    }
                }
            }
        }
        add(product(layer.outProjection, mixed, count), to: &x)
    }

    private func feedForward(_ layer: Layer, _ x: inout [Float], _ count: Int) {
        var normal = x
        normalize(&normal, count, layer.feedForwardNorm)
        let both = product(layer.gateAndUp, normal, count)  // (T, 2F)
        let width = layer.down.columns
        var gated = [Float](repeating: 0, count: count * width)  // (T, F)
        for token in 0..<count {
            for channel in 0..<width {
                let gate = both[token * 2 * width + channel]
                gated[token * width + channel] = gate / (1 + exp(-gate)) * both[token * 2 * width + width + channel]
            }
        }
        add(product(layer.down, gated, count), to: &x)
    }

    private func product(_ matrix: Matrix, _ x: [Float], _ count: Int) -> [Float] {
        [Float](unsafeUninitializedCapacity: count * matrix.rows) { buffer, filled in
            x.withUnsafeBufferPointer {
                matrix.multiply($0.baseAddress!, count: count, into: buffer.baseAddress!, threads: threads)
            }
            filled = count * matrix.rows
        }
    }

    private func normalize(_ x: inout [Float], _ count: Int, _ weight: [Float]) {
        let dim = weight.count
        for token in 0..<count {
            var sum: Float = 0
            for channel in 0..<dim { sum += x[token * dim + channel] * x[token * dim + channel] }
            let factor = 1 / (sum / Float(dim) + config.normEpsilon).squareRoot()
            for channel in 0..<dim { x[token * dim + channel] *= factor * weight[channel] }
        }
    }

    private func normalizeHead(_ x: inout [Float], _ start: Int, _ weight: [Float]) {
        var sum: Float = 0
        for channel in 0..<weight.count { sum += x[start + channel] * x[start + channel] }
        let factor = 1 / (sum / Float(weight.count) + config.normEpsilon).squareRoot()
        for channel in 0..<weight.count { x[start + channel] *= factor * weight[channel] }
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

    @inline(__always)
    private func dot(_ a: UnsafePointer<Float>, _ b: UnsafePointer<Float>, _ count: Int) -> Float {
        var sum = SIMD8<Float>.zero
        var index = 0
        while index + 8 <= count {
            sum +=
                UnsafeRawPointer(a + index).loadUnaligned(as: SIMD8<Float>.self)
                * UnsafeRawPointer(b + index).loadUnaligned(as: SIMD8<Float>.self)
            index += 8
        }
        var total = sum.sum()
        while index < count {
            total += a[index] * b[index]
            index += 1
        }
        return total
    }

    private func add(_ y: [Float], to x: inout [Float]) { for index in x.indices { x[index] += y[index] } }

    private static func vector(_ weights: Safetensors, _ name: String, _ count: Int) throws -> [Float] {
        let tensor = try weights.tensor(name, [count])
        return (0..<count).map { Float(tensor.values.loadUnaligned(fromByteOffset: 2 * $0, as: Float16.self)) }
    }
}
