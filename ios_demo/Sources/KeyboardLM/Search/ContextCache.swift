/// A path of piece ids behind a context.
package typealias Path = [Int]

/// What the network has said after one context, and after the continuations of it that were asked for so far.
package final class Known {
    fileprivate let contextIDs: Path
    fileprivate var probabilities: [Path: Distribution]

    fileprivate init(_ contextIDs: Path, _ given: Distribution) {
        self.contextIDs = contextIDs
        probabilities = [[]: given]
    }
}

/// The boundary after a context, for one turn: what is known there, and more if the turn has room for a call.
///
/// Continuations are scored behind the cached context and change nothing in it.
package struct Boundary {
    private let cache: ContextCache
    private let known: Known
    private let turn: Turn

    fileprivate init(_ cache: ContextCache, _ known: Known, _ turn: Turn) {
        (self.cache, self.known, self.turn) = (cache, known, turn)
    }

    /// The next piece's probabilities after the context and a path, which `expand` has seen; none where it has not.
    package func probabilities(_ path: Path = []) -> Distribution { known.probabilities[path] ?? Distribution() }

    package func isKnown(_ path: Path) -> Bool { known.probabilities[path] != nil }

    /// Scores all paths, and the paths they pass through, in one call of the network.
    ///
    /// - Returns: false where the turn has no room for the call: nothing more is known then.
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
        guard turn.take(order.count) else { return false }
        let parents = order.map { $0.count > 1 ? numbers[Array($0.dropLast())] ?? -1 : -1 }
        let logits = try cache.scoreTree(known.contextIDs, order.map { $0[$0.count - 1] }, parents, turn)
        for (path, row) in zip(order, logits) where known.probabilities[path] == nil {
            known.probabilities[path] = Distribution(logits: row, cache.room)
        }
        return true
    }
}

/// A backend that can be asked about any context; it computes only what differs from the one before.
///
/// The last few boundaries are remembered, so that going back to one costs nothing.
package final class ContextCache {
    private let backend: any Backend
    private let numRemembered: Int
    private var cachedIDs: Path = []
    fileprivate let room = DistributionRoom()
    private var remembered: [Known] = []  // least recently used first

    package init(_ backend: any Backend, numRemembered: Int = 4) {
        self.backend = backend
        self.numRemembered = numRemembered
    }

    /// The boundary after a context of at least one token, whatever that costs.
    package func at(_ ids: Path, _ turn: Turn = Turn()) throws -> Boundary {
        if let place = remembered.firstIndex(where: { $0.contextIDs == ids }) {
            remembered.append(remembered.remove(at: place))
        } else {
            // The last token is fed again even if the cache holds it: its logits are what is wanted.
            let logits = try feed(ids, kept: min(shared(ids), ids.count - 1), turn)
            remembered.append(Known(ids, Distribution(logits: logits, room)))
            if remembered.count > numRemembered { remembered.removeFirst() }
        }
        return Boundary(self, remembered[remembered.count - 1], turn)
    }

    /// The same if the network need not be asked, or the turn has room for that.
    package func atOnce(_ ids: Path, _ turn: Turn) throws -> Boundary? {
        if !remembered.contains(where: { $0.contextIDs == ids }),
            !turn.take(ids.count - min(shared(ids), ids.count - 1))
        {
            return nil
        }
        return try at(ids, turn)
    }

    package func forget() {
        cachedIDs = []
        remembered = []
        room.clear()
    }

    fileprivate func scoreTree(_ context: Path, _ ids: [Int], _ parents: [Int], _ turn: Turn) throws -> [[Float]] {
        let kept = shared(context)
        if kept < context.count {
            _ = try feed(context, kept: kept, turn)
        } else if kept < backend.length {
            backend.rewind(kept)
            cachedIDs = context
        }
        let begun = turn.clock()
        let logits = try backend.scoreTree(ids, parents: parents)
        turn.countCall(begun: begun)
        return logits
    }

    private func shared(_ ids: Path) -> Int {
        var count = 0
        while count < min(ids.count, cachedIDs.count), ids[count] == cachedIDs[count] { count += 1 }
        return count
    }

    private func feed(_ ids: Path, kept: Int, _ turn: Turn) throws -> [Float] {
        // What is cached is forgotten first: a call that fails leaves a state that the next one can start from.
        cachedIDs = Array(ids[..<kept])
        let begun = turn.clock()
        let logits: [Float]
        if kept == 0 {
            logits = try backend.prefill(ids)
        } else {
            backend.rewind(kept)
            logits = try backend.decode(Array(ids[kept...]))
        }
        turn.countCall(begun: begun)
        cachedIDs = ids
        return logits
    }
}
