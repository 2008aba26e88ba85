import Foundation

/// Owns everything that is not `Sendable` and answers off the main thread, one request after another.
///
/// A serial queue and not an actor: inside an actor an `await` lets a second prediction in, which is undefined for one state of
/// a network. A request that is no longer the newest when its turn comes is dropped.
package final class EngineQueue: @unchecked Sendable {
    private let queue = DispatchQueue(label: "keyboard-lm.engine", qos: .userInteractive)
    private let lock = NSLock()
    private var newest = 0  // guarded by `lock`
    private var predictor: Result<Predictor, any Error>?  // touched on `queue` alone

    package init() {}

    /// Loads the model, so that the first answer is not late.
    package func load(_ make: @escaping @Sendable () throws -> Predictor, done: @escaping @Sendable (String?) -> Void) {
        queue.async {
            let made = Result { try make() }
            self.predictor = made
            done(made.errorDescription)
        }
    }

    /// Answers with the bar for a text, on some thread; not at all where a newer request has come meanwhile.
    package func suggest(_ text: String, revision: Int, done: @escaping @Sendable ([Suggestion], Int) -> Void) {
        lock.withLock { newest = max(newest, revision) }
        queue.async {
            guard self.lock.withLock({ self.newest == revision }) else { return }
            guard case .success(let predictor)? = self.predictor else { return done([], revision) }
            done((try? predictor.suggest(text)) ?? [], revision)
        }
    }

    /// Drops the model; a suspended keyboard is judged by its memory when it wakes.
    package func unload() {
        queue.async { self.predictor = nil }
    }
}

extension Result {
    fileprivate var errorDescription: String? {
        if case .failure(let error) = self { return "\(error)" }
        return nil
    }
}
