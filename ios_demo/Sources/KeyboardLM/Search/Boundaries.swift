/// How much of the text before the cursor the network is given.
package struct ContextWindow {
    package let beginID: Int
    package let endsToken: [Bool]
    /// Most pieces of a context, the first included.
    package let numIDs: Int

    /// Returns the context of ids: the begin piece, then all of them, or as many of the last as there is room for.
    ///
    /// A longer text loses its oldest tokens up to the end of a word or message, and in steps of a quarter of the window: what
    /// is cut moves everything, and costs a prefill. A single word longer than the window is cut inside.
    package func fit(_ ids: [Int]) -> Path {
        let room = numIDs - 1
        var start = 0
        if ids.count > room {
            let step = max(1, room / 4)
            let least = (ids.count - room + step - 1) / step * step
            let cut = least - 1 < ids.count - 1 ? (least - 1..<ids.count - 1).first { endsToken[ids[$0]] } : nil
            start = cut.map { $0 + 1 } ?? ids.count - room
        }
        return [beginID] + ids[start...]
    }
}

/// From the text of a field to what the network says at the boundary before the word under the cursor.
package final class Boundaries {
    package let table: PieceTable
    package let cache: ContextCache
    private let tokenizer: Tokenizer
    private let window: ContextWindow
    private let read: ((CodePoints) -> CodePoints)?
    private var known: [(messages: [[CodePoints]], ids: Path)] = []  // oldest first

    /// - Parameters:
    ///   - maxNodes: largest tree that will be scored behind a context.
    ///   - table: of the tokenizer's pieces, where there is one already.
    ///   - read: a token of the text, to the one that the network is given for it; nil for the same.
    /// - Throws: `KeyboardLMError` where the KV cache is too small for a context and a tree.
    package init(
        _ backend: any Backend, _ tokenizer: Tokenizer, maxNodes: Int, table: PieceTable? = nil,
        read: ((CodePoints) -> CodePoints)? = nil
    ) throws {
        guard backend.vocabularySize == tokenizer.vocabularySize else {
            throw KeyboardLMError(
                "the tokenizer has \(tokenizer.vocabularySize) pieces but the network \(backend.vocabularySize); export the model again")
        }
        let table = table ?? PieceTable(tokenizer)
        self.table = table
        self.read = read
        cache = ContextCache(backend)
        self.tokenizer = tokenizer
        let room = min(backend.capacity, backend.maxContextLength) - maxNodes
        guard room >= 2 else {
            throw KeyboardLMError(
                "a search tree of \(maxNodes) tokens leaves no room for text in a KV cache of \(backend.capacity); use a smaller tree")
        }
        window = ContextWindow(beginID: tokenizer.beginID, endsToken: table.endsToken, numIDs: room)
    }

    /// The boundary before the word under the cursor, or before the next one, whatever that costs.
    package func at(_ typed: TypedText, _ turn: Turn = Turn()) throws -> Boundary { try cache.at(ids(typed), turn) }

    /// The same if the network need not be asked, or the turn has room for that.
    package func atOnce(_ typed: TypedText, _ turn: Turn) throws -> Boundary? { try cache.atOnce(ids(typed), turn) }

    /// The context's ids; those of the texts asked about last are remembered, whatever has been learned since.
    package func ids(_ typed: TypedText) -> Path {
        if let found = known.last(where: { $0.messages == typed.messages }) { return found.ids }
        var messages = typed.messages
        if let read { messages = messages.map { $0.map(read) } }
        var ids: [Int] = []
        for message in messages.dropLast() {
            ids += tokenizer.encode(message)
            ids.append(tokenizer.endID)
        }
        ids += tokenizer.encode(messages.last ?? [])
        if known.count >= Self.maxKnown { known.removeFirst() }
        let fitted = window.fit(ids)
        known.append((typed.messages, fitted))
        return fitted
    }

    /// The end of a long text, from the beginning of a word on, so that answers take no longer for it.
    package static func recent(_ text: CodePoints) -> CodePoints {
        if text.count <= mostCharacters { return text }
        let start = (text.count - mostCharacters + stepCharacters - 1) / stepCharacters * stepCharacters
        let space = (start..<min(start + stepCharacters, text.count)).first { text[$0] == 0x20 }
        return text.suffix(from: space.map { $0 + 1 } ?? start)
    }

    private static let maxKnown = 4
    private static let mostCharacters = 4096
    private static let stepCharacters = 1024
}
