import Foundation

/// Remembers across launches that a network may have killed the process: a file that is there while its first calls are made.
///
/// First predictions after a load have killed processes without a trace (coremltools issues 2758 and 2716). A file that is found
/// at the next start keeps the network off until the app or the system is another.
package final class CrashSentinel {
    private let file: URL
    private let version: String
    private var numCalls = 0
    private static let numWatched = 100  // calls, after which a network is trusted for this launch

    /// - Parameter version: of app and system together.
    package init(file: URL, version: String) { (self.file, self.version) = (file, version) }

    /// Whether an earlier launch of this very version has not come back from its first calls.
    package var isTripped: Bool { (try? String(contentsOf: file, encoding: .utf8)) == version }

    /// To be called before each call of the network.
    package func begin() throws {
        guard numCalls == 0 else { return }
        try Data(version.utf8).write(to: file, options: .atomic)
    }

    /// To be called after each call that has come back, with a result or an error.
    package func end() {
        numCalls += 1
        if numCalls == Self.numWatched { try? FileManager.default.removeItem(at: file) }
    }
}

/// Two networks with the same weights, of which one answers at a time: the processor's from the first key on, another once it has
/// loaded, and the processor's again where that fails.
///
/// It changes over only when it is told to, at the beginning of a field, and what was cached is then gone: whoever keeps contexts
/// has to forget them.
package final class BackendChoice: Backend {
    private let processor: any Backend
    private let sentinel: CrashSentinel?
    private var other: (any Backend)?  // loaded, and not failed
    private var usesOther = false
    /// One line where the network that was loaded later is not used any more.
    package private(set) var problem: String?

    package init(processor: any Backend, sentinel: CrashSentinel? = nil) {
        (self.processor, self.sentinel) = (processor, sentinel)
    }

    /// Whether the network that was loaded later answers.
    package var isChangedOver: Bool { usesOther }

    /// Offers a network with the same weights, for when the next field begins.
    package func offer(_ backend: any Backend) {
        guard backend.vocabularySize == processor.vocabularySize, backend.capacity >= processor.capacity else { return }
        other = backend
    }

    /// Changes over to what was offered; true where that is another network than before.
    package func fieldStarted() -> Bool {
        guard other != nil, !usesOther else { return false }
        guard sentinel?.isTripped != true else {
            problem = "Core ML is off: its first calls were not survived; it is tried again after an update"
            return false
        }
        usesOther = true
        return true
    }

    package var length: Int { current.length }
    package var capacity: Int { processor.capacity }
    package var vocabularySize: Int { processor.vocabularySize }
    package var maxContextLength: Int { processor.maxContextLength }

    package func prefill(_ ids: [Int]) throws -> [Float] { try asked { try $0.prefill(ids) } }
    package func decode(_ ids: [Int]) throws -> [Float] { try asked { try $0.decode(ids) } }
    package func scoreTree(_ ids: [Int], parents: [Int]) throws -> [[Float]] {
        try asked { try $0.scoreTree(ids, parents: parents) }
    }
    package func rewind(_ length: Int) { current.rewind(length) }

    private var current: any Backend {
        if usesOther, let other { return other }
        return processor
    }

    private func asked<Result>(_ call: (any Backend) throws -> Result) throws -> Result {
        guard usesOther, let other else { return try call(processor) }
        do {
            try sentinel?.begin()
            let result = try call(other)
            sentinel?.end()
            return result
        } catch {
            sentinel?.end()
            (usesOther, self.other) = (false, nil)  // not again in this launch
            problem = "Core ML has failed, the processor goes on: \(error)"
            processor.rewind(0)
            throw error
        }
    }
}
