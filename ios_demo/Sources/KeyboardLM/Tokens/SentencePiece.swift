/// A SentencePiece model of the kind "unigram" with byte fallback and white space as a suffix, as the project trains them.
///
/// The best path is found in single precision from the start of the whole text, as SentencePiece does; rounding decides
/// between paths that are all but equally likely.
package struct SentencePiece: Sendable {
    package enum PieceType: Int, Sendable { case normal = 1, unknown, control, userDefined, unused, byte }

    package let pieces: [CodePoints]
    package let scores: [Float]
    package let types: [PieceType]
    package let byteIDs: [Int]

    private let children: Children
    private let pieceOfNode: [Int32]
    private let unknownScore: Float
    private let unknownID: Int

    /// - Throws: `KeyboardLMError` where the bytes are no such model.
    package init(serialized data: [UInt8]) throws {
        let wrong = KeyboardLMError("the tokenizer is not a SentencePiece model; restore it or export it again")
        var pieces: [CodePoints] = [], scores: [Float] = [], types: [PieceType] = []
        do {
            var model = Protobuf(data)
            while let (field, value) = try model.next() {
                guard field == 1, case .bytes(let range) = value else { continue }
                var piece = CodePoints(), score: Float = 0, type = PieceType.normal
                var message = Protobuf(data, range)
                while let (field, value) = try message.next() {
                    switch (field, value) {
                    case (1, .bytes(let text)): piece = CodePoints(String(decoding: data[text], as: UTF8.self))
                    case (2, .fixed32(let bits)): score = Float(bitPattern: bits)
                    case (3, .varint(let number)): type = PieceType(rawValue: Int(clamping: number)) ?? .normal
                    default: break
                    }
                }
                pieces.append(piece)
                scores.append(score)
                types.append(type)
            }
        } catch { throw wrong }
        guard !pieces.isEmpty, let unknown = types.firstIndex(of: .unknown) else { throw wrong }
        self.pieces = pieces
        self.scores = scores
        self.types = types
        unknownID = unknown
        var bytes = [Int](repeating: -1, count: 256)
        for (id, piece) in pieces.enumerated() where types[id] == .byte {
            guard piece.count == 6, let value = Int(piece[3..<5].string, radix: 16) else { throw wrong }
            bytes[value] = id
        }
        byteIDs = bytes
        var children = Children(), pieceOfNode: [Int32] = [-1]
        for (id, piece) in pieces.enumerated() where types[id] == .normal || types[id] == .userDefined {
            var node: Int32 = 0
            for c in piece.values {
                if let next = children.child(of: node, c) {
                    node = next
                } else {
                    let next = Int32(pieceOfNode.count)
                    children.add(next, to: node, c)
                    pieceOfNode.append(-1)
                    node = next
                }
            }
            pieceOfNode[Int(node)] = Int32(id)
        }
        self.children = children
        self.pieceOfNode = pieceOfNode
        let least = zip(scores, types).lazy.filter { $0.1 == .normal }.map(\.0).min() ?? 0
        unknownScore = least - 10
    }

    /// Returns the piece ids of a text whose words are separated by single spaces.
    package func encode(_ text: CodePoints) -> [Int] {
        let words = text.words()
        guard !words.isEmpty else { return [] }
        let symbols = CodePoints.joined(words, by: CharacterClass.metaSpace).values + [CharacterClass.metaSpace]
        return withUnsafeTemporaryAllocation(of: Step.self, capacity: symbols.count + 1) { best in
            best.initialize(repeating: Step(score: 0, from: -1, piece: -1))
            return symbols.withUnsafeBufferPointer { path($0, best) }
        }
    }

    // The best way to an end.
    private struct Step {
        var score: Float
        var from, piece: Int
    }

    private func path(_ symbols: UnsafeBufferPointer<UInt32>, _ best: UnsafeMutableBufferPointer<Step>) -> [Int] {
        for start in symbols.indices {
            let here = best[start].score
            var node: Int32 = 0
            var hasSingle = false
            var end = start
            while end < symbols.count, let next = children.child(of: node, symbols[end]) {
                node = next
                end += 1
                let id = Int(pieceOfNode[Int(node)])
                guard id >= 0 else { continue }
                if end == start + 1 { hasSingle = true }
                let score = here + scores[id]
                if best[end].from < 0 || score > best[end].score { best[end] = Step(score: score, from: start, piece: id) }
            }
            if !hasSingle {
                let score = here + unknownScore
                if best[start + 1].from < 0 || score > best[start + 1].score {
                    best[start + 1] = Step(score: score, from: start, piece: unknownID)
                }
            }
        }
        var reversed: [Int] = []
        var end = symbols.count
        while end > 0 {
            let step = best[end]
            if step.piece == unknownID {
                let bytes = Array(CodePoints(Array(symbols[step.from..<end])).string.utf8)
                reversed += bytes.reversed().map { byteIDs[Int($0)] >= 0 ? byteIDs[Int($0)] : unknownID }
            } else {
                reversed.append(step.piece)
            }
            end = step.from
        }
        return reversed.reversed()
    }
}

/// The trie of all pieces: of a node and a code point, the node behind both.
private struct Children: Sendable {
    private var keys: [UInt64]  // node and code point
    private var nodes: [Int32]  // behind them; 0, which is the root, where a place is free
    private var count = 0

    init(size: Int = 1 << 15) { (keys, nodes) = (Array(repeating: 0, count: size), Array(repeating: 0, count: size)) }

    @inline(__always)
    func child(of node: Int32, _ c: UInt32) -> Int32? {
        let place = place(of: node, c), child = nodes[place]
        return child == 0 ? nil : child
    }

    /// - Parameter child: a node that is not the root.
    mutating func add(_ child: Int32, to node: Int32, _ c: UInt32) {
        if 3 * count >= 2 * nodes.count {  // a third of the places stays free, so that a look-up ends soon
            var larger = Children(size: 2 * nodes.count)
            for (key, child) in zip(keys, nodes) where child != 0 {
                larger.add(child, to: Int32(key >> 32), UInt32(truncatingIfNeeded: key))
            }
            self = larger
        }
        let place = place(of: node, c)
        (keys[place], nodes[place]) = (UInt64(node) << 32 | UInt64(c), child)
        count += 1
    }

    // Where a pair is, or would be put.
    @inline(__always)
    private func place(of node: Int32, _ c: UInt32) -> Int {
        let key = UInt64(node) << 32 | UInt64(c)
        let mask = nodes.count - 1
        var place = Int(truncatingIfNeeded: key.mixed(with: 0) >> 20) & mask
        while nodes[place] != 0 && keys[place] != key { place = (place + 1) & mask }
        return place
    }
}
