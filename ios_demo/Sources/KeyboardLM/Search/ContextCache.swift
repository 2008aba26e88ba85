import Foundation

/// A path of piece ids behind a context.
package typealias Path = [Int]

/// What the network says after one context, and after the continuations of it that were asked for so far.
///
/// Continuations are scored behind the cached context and change nothing in it.
package final class Boundary {
    private let cache: ContextCache
    private let contextIDs: Path
    private var known: [Path: [Float]]
    private var arrangedRoots: [ObjectIdentifier: [Float]] = [:]

    fileprivate init(_ cache: ContextCache, _ contextIDs: Path, logits: [Float]) {
        self.cache = cache
        self.contextIDs = contextIDs
        known = [[]: softmax(logits)]
    }

    /// The next piece's probabilities after the context and a path, which `expand` has seen.
    package func probabilities(_ path: Path = []) -> [Float] { known[path]! }

    /// The same for some pieces, in their order; those of the context itself are kept from one keystroke to the next.
    package func arranged(_ pieces: PieceSet, _ path: Path = []) -> [Float] {
        let isRoot = path.isEmpty
        if isRoot, let kept = arrangedRoots[ObjectIdentifier(pieces)] { return kept }
        let given = probabilities(path)
        var found = [Float](repeating: 0, count: pieces.ids.count)
        for (place, id) in pieces.ids.enumerated() where !isRoot || pieces.mayBegin[place] { found[place] = given[id] }
        if isRoot { arrangedRoots[ObjectIdentifier(pieces)] = found }
        return found
    }

    package func isKnown(_ path: Path) -> Bool { known[path] != nil }

    /// Scores all paths, and the paths they pass through, in one call of the network.
    ///
    /// - Returns: false where there is no room for the call: nothing more is known then.
    @discardableResult
    package func expand(_ paths: [Path]) throws -> Bool {
        var numbers: [Path: Int] = [:], order: [Path] = []
        for path in paths {
            for depth in 1..<path.count + 1 {
                let part = Array(path[..<depth])
                if numbers[part] == nil {
                    numbers[part] = order.count
                    order.append(part)
                }
            }
        }
        let parents = order.map { $0.count > 1 ? numbers[Array($0.dropLast())]! : -1 }
        let logits = try cache.scoreTree(contextIDs, order.map { $0[$0.count - 1] }, parents)
        for (path, row) in zip(order, logits) where known[path] == nil { known[path] = softmax(row) }
        return true
    }
}

/// A backend that can be asked about any context; it computes only what differs from the one before.
///
/// The last few boundaries are remembered, so that going back to one costs nothing.
package final class ContextCache {
    package private(set) var numCalls = 0
    private let backend: any Backend
    private let numRemembered: Int
    private var cachedIDs: Path = []
    private var boundaries: [(ids: Path, boundary: Boundary)] = []  // least recently used first

    package init(_ backend: any Backend, numRemembered: Int = 4) {
        self.backend = backend
        self.numRemembered = numRemembered
    }

    /// The boundary after a context of at least one token.
    package func at(_ ids: Path) throws -> Boundary {
        if let place = boundaries.firstIndex(where: { $0.ids == ids }) {
            boundaries.append(boundaries.remove(at: place))
        } else {
            // The last token is fed again even if the cache holds it: its logits are what is wanted.
            let logits = try feed(ids, kept: min(shared(ids), ids.count - 1))
            boundaries.append((ids, Boundary(self, ids, logits: logits)))
            if boundaries.count > numRemembered { boundaries.removeFirst() }
        }
        return boundaries[boundaries.count - 1].boundary
    }

    package func forget() {
        cachedIDs = []
        boundaries = []
    }

    fileprivate func scoreTree(_ context: Path, _ ids: [Int], _ parents: [Int]) throws -> [[Float]] {
        let kept = shared(context)
        if kept < context.count {
            _ = try feed(context, kept: kept)
        } else if kept < backend.length {
            backend.rewind(kept)
            cachedIDs = context
        }
        numCalls += 1
        return try backend.scoreTree(ids, parents: parents)
    }

    private func shared(_ ids: Path) -> Int {
        var count = 0
        while count < min(ids.count, cachedIDs.count), ids[count] == cachedIDs[count] { count += 1 }
        return count
    }

    private func feed(_ ids: Path, kept: Int) throws -> [Float] {
        // What is cached is forgotten first: a call that fails leaves a state that the next one can start from.
        cachedIDs = Array(ids[..<kept])
        numCalls += 1
        let logits: [Float]
        if kept == 0 {
            logits = try backend.prefill(ids)
        } else {
            backend.rewind(kept)
            logits = try backend.decode(Array(ids[kept...]))
        }
        cachedIDs = ids
        return logits
    }
}

/// Probabilities of logits.
package func softmax(_ logits: [Float]) -> [Float] {
    let largest = logits.max() ?? 0
    var found = logits.map { exp($0 - largest) }
    let total = found.reduce(0, +)
    for index in found.indices { found[index] /= total }
    return found
}
