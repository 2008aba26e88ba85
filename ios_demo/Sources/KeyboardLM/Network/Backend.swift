/// What search may ask of a network, whatever runs it: one flat, rewindable KV cache.
///
/// Every call that would need more than `capacity` slots throws and leaves the cache as it was.
package protocol Backend: AnyObject {
    /// Tokens in the cache.
    var length: Int { get }
    /// Slots of the cache, those that `scoreTree` uses as scratch included.
    var capacity: Int { get }
    var vocabularySize: Int { get }
    var maxContextLength: Int { get }

    /// Empties the cache, feeds tokens (at least one), and returns the last one's logits.
    func prefill(_ ids: [Int]) throws -> [Float]
    /// Appends tokens (at least one) to the cache and returns the last one's logits.
    func decode(_ ids: [Int]) throws -> [Float]
    /// Scores a tree of continuations in one call, without changing the cache; logits after each node.
    ///
    /// - Parameters:
    ///   - ids: the token of each node.
    ///   - parents: the index of each node's parent, smaller than its own, or -1. Siblings do not see each other.
    func scoreTree(_ ids: [Int], parents: [Int]) throws -> [[Float]]
    /// Forgets every cached token after the first `length`.
    func rewind(_ length: Int)
}

extension Backend {
    /// Throws where tokens behind `start` cached ones are none, do not fit, or are none of the model's.
    func check(start: Int, _ ids: [Int]) throws {
        guard !ids.isEmpty else { throw KeyboardLMError("at least one token is needed") }
        guard start + ids.count <= capacity else {
            throw KeyboardLMError("\(start + ids.count) tokens do not fit the \(capacity) slots of the KV cache; shorten the context")
        }
        guard ids.allSatisfy({ (0..<vocabularySize).contains($0) }) else {
            throw KeyboardLMError("a token that the model has not; tokenizer and weights do not belong together")
        }
    }
}
