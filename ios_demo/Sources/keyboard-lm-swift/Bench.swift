import Foundation
import KeyboardLM
import KeyboardLMToy

/// Types messages key by key and says what each key took: this engine's half of `tests/benchmarks/swift_keystrokes.py`.
///
/// A line `{"text": ..., "toy": ...}` in, a line out: of each key its time, its processor time, how much of both was the network's
/// (in milliseconds), the network's calls, and the words of the bar; and the process's memory. Nothing is learned.
struct Bench {
    private let model: Session
    private let toy: Session
    private let networks: [TimedNetwork]

    init(_ files: KeyboardFiles, options: SessionOptions) throws {
        let engine = try KeyboardEngine(files, options: options)
        let config = try ModelConfig(file: files.model.appending(path: "config.json"))
        let toyNetwork = ToyNetwork(scores: engine.parts.tokenizer.model.scores, maxContextLength: config.maxContextLength)
        networks = [
            TimedNetwork(try CPUBackend(checking: files.model, threads: options.numThreads, precision: options.precision)),
            TimedNetwork(toyNetwork),
        ]
        func open(_ network: TimedNetwork) throws -> Session {
            try engine.session(network, PersonalStore(path: nil, knows: engine.parts.language.lexicon.isKnown))
        }
        (model, toy) = (try open(networks[0]), try open(networks[1]))
    }

    func run() throws {
        var lines = ObjectLines("a message, {\"text\": \"...\"}")
        while let asked = try lines.next() {
            let text = try lines.named {
                guard let text = asked["text"] as? String else { throw KeyboardLMError("a message has a text") }
                return text
            }
            print(try jsonLine(typed(CodePoints(text), isToy: asked["toy"] as? Bool ?? false)))
            fflush(nil)
        }
    }

    private func typed(_ text: CodePoints, isToy: Bool) -> [String: Any] {
        let session = isToy ? toy : model, network = networks[isToy ? 1 : 0]
        session.apply(.fieldStarted(isPrivate: true))
        _ = session.suggest()
        var keys: [[Any]] = []
        for char in text.values {
            network.clear()
            let (begun, cpuBegun) = (Self.milliseconds(CLOCK_MONOTONIC), Self.milliseconds(CLOCK_PROCESS_CPUTIME_ID))
            session.apply(.typed(CodePoints([char])))
            let answer = session.suggest()
            let (ms, cpuMs) = (Self.milliseconds(CLOCK_MONOTONIC) - begun, Self.milliseconds(CLOCK_PROCESS_CPUTIME_ID) - cpuBegun)
            keys.append([ms, cpuMs, network.ms, network.cpuMs, answer.numModelCalls, answer.slots.map(\.text.string)])
        }
        return ["keys": keys, "memory_kb": processMemoryKB()]
    }

    static func milliseconds(_ clock: clockid_t) -> Double {
        var time = timespec()
        clock_gettime(clock, &time)
        return Double(time.tv_sec) * 1000 + Double(time.tv_nsec) / 1e6
    }
}

/// A network, and how long its calls took since that was last asked.
final class TimedNetwork: Backend {
    private let network: any Backend
    private(set) var ms = 0.0
    private(set) var cpuMs = 0.0

    init(_ network: any Backend) { self.network = network }

    var length: Int { network.length }
    var capacity: Int { network.capacity }
    var vocabularySize: Int { network.vocabularySize }
    var maxContextLength: Int { network.maxContextLength }

    func clear() { (ms, cpuMs) = (0, 0) }
    func prefill(_ ids: [Int]) throws -> [Float] { try timed { try network.prefill(ids) } }
    func decode(_ ids: [Int]) throws -> [Float] { try timed { try network.decode(ids) } }
    func scoreTree(_ ids: [Int], parents: [Int]) throws -> [[Float]] { try timed { try network.scoreTree(ids, parents: parents) } }
    func rewind(_ length: Int) { network.rewind(length) }

    private func timed<Value>(_ call: () throws -> Value) rethrows -> Value {
        let (begun, cpuBegun) = (Bench.milliseconds(CLOCK_MONOTONIC), Bench.milliseconds(CLOCK_PROCESS_CPUTIME_ID))
        defer {
            ms += Bench.milliseconds(CLOCK_MONOTONIC) - begun
            cpuMs += Bench.milliseconds(CLOCK_PROCESS_CPUTIME_ID) - cpuBegun
        }
        return try call()
    }
}
