import Foundation
import KeyboardLM
import KeyboardLMToy
import Testing

/// What is right with a call before it reaches Core ML, and what is done when that fails.
struct PackageBackendTests {
    let toy: ToyKeyboard
    let contract: Contract
    let runner: SlotRunner
    let backend: PackageBackend
    let plain: any Backend

    init() throws {
        toy = try ToyKeyboard()
        contract = try Contract(
            entries: [
                .init(name: "prefill16", numTokens: 16, isPrefill: true), .init(name: "decode", numTokens: 1, isPrefill: false),
                .init(name: "tree8", numTokens: 8, isPrefill: false), .init(name: "prefill64", numTokens: 64, isPrefill: true),
            ], numSlots: toy.config.maxContextLength + 64)
        runner = SlotRunner(toy.network(), contract, toy.config)
        backend = PackageBackend(runner, contract, toy.config)
        plain = toy.network()
    }

    @Test func everyCallGivesWhatTheNetworkGives() throws {
        var rng = SplitMix(state: 7)
        for _ in 0..<60 {
            let room = backend.capacity - backend.length
            let ids = (0..<min(Int(rng.next() % 40) + 1, room)).map { _ in Int(rng.next() % 8000) }
            switch rng.next() % 4 {
            case 0:
                let start = Array(ids.prefix(30))
                #expect(try backend.prefill(start) == plain.prefill(start))
            case 1 where !ids.isEmpty: #expect(try backend.decode(ids) == plain.decode(ids))
            case 2 where !ids.isEmpty:
                let parents = ids.indices.map { Int(rng.next() % UInt64($0 + 1)) - 1 }
                #expect(try backend.scoreTree(ids, parents: parents) == plain.scoreTree(ids, parents: parents))
            default:
                let length = Int(rng.next() % UInt64(backend.length + 1))
                backend.rewind(length)
                plain.rewind(length)
            }
            #expect(backend.length == plain.length)
        }
        #expect(Set(runner.calls.map(\.function)) == ["decode", "tree8", "prefill16", "prefill64"])
    }

    @Test func whatDoesNotFitIsAnErrorAndChangesNothing() throws {
        _ = try backend.prefill([1, 2, 3])
        let many = [Int](repeating: 5, count: backend.capacity)
        #expect(throws: KeyboardLMError.self) { try backend.decode(many) }
        #expect(throws: KeyboardLMError.self) { try backend.decode([]) }
        #expect(throws: KeyboardLMError.self) { try backend.decode([-1]) }
        #expect(throws: KeyboardLMError.self) { try backend.scoreTree([1, 2], parents: [0, -1]) }
        #expect(backend.length == 3)
        #expect(throws: KeyboardLMError.self) { try Contract(entries: [], numSlots: 320) }
    }

    @Test func thePhonesChecksFindThatTheTwoAgreeAndLast() throws {
        let agreement = try PhoneCheck.agreement(backend, plain, numContexts: 4)
        #expect(agreement.error == 0 && agreement.sameTop == 1)
        let endurance = PhoneCheck.endurance(plain, numCalls: 300)
        #expect(endurance.numCalls == 299 && endurance.problem == nil)
        #expect(PhoneCheck.endurance(Failing(toy.config), numCalls: 300).problem == "it does not run")
        #expect(PhoneCheck.footprintMB() > 1)
    }

    private final class Failing: Backend {
        var length = 0
        let capacity: Int, maxContextLength: Int, vocabularySize: Int
        var fails = true
        init(_ config: ModelConfig) {
            (capacity, maxContextLength, vocabularySize) = (config.maxContextLength, config.maxContextLength, config.vocabularySize)
        }
        private func asked() throws -> [Float] {
            if fails { throw KeyboardLMError("it does not run") }
            return [Float](repeating: 0, count: vocabularySize)
        }
        func prefill(_ ids: [Int]) throws -> [Float] { try asked() }
        func decode(_ ids: [Int]) throws -> [Float] { try asked() }
        func scoreTree(_ ids: [Int], parents: [Int]) throws -> [[Float]] { try ids.map { _ in try asked() } }
        func rewind(_ length: Int) {}
    }

    @Test func aNetworkThatFailsIsLeftForTheProcessorsInTheSameLaunch() throws {
        let choice = BackendChoice(processor: toy.network()), failing = Failing(toy.config)
        _ = try choice.prefill([1, 2])
        choice.offer(failing)
        #expect(!choice.isChangedOver)  // not in the middle of a field
        #expect(choice.fieldStarted())
        #expect(throws: KeyboardLMError.self) { try choice.prefill([1, 2]) }
        #expect(!choice.isChangedOver && choice.length == 0)
        #expect(choice.problem == "Core ML has failed, the processor goes on: it does not run")
        #expect(try choice.prefill([1, 2]) == plain.prefill([1, 2]))
        #expect(!choice.fieldStarted())
    }

    @Test func aLaunchThatDidNotComeBackKeepsTheNetworkOffUntilAnotherVersion() throws {
        let file = FileManager.default.temporaryDirectory.appending(path: "sentinel-\(UUID().uuidString)")
        defer { try? FileManager.default.removeItem(at: file) }
        func choice(_ version: String) -> (BackendChoice, CrashSentinel) {
            let sentinel = CrashSentinel(file: file, version: version)
            let choice = BackendChoice(processor: toy.network(), sentinel: sentinel), works = Failing(toy.config)
            works.fails = false
            choice.offer(works)
            return (choice, sentinel)
        }
        let (first, sentinel) = choice("1")
        #expect(first.fieldStarted())
        _ = try first.prefill([1])  // and here the process ends
        #expect(sentinel.isTripped)
        let (next, _) = choice("1")
        #expect(!next.fieldStarted() && next.problem?.contains("Core ML is off") == true)
        let (updated, _) = choice("2")
        #expect(updated.fieldStarted())
        for _ in 0..<100 { _ = try updated.prefill([1]) }
        #expect(choice("2").0.fieldStarted())  // a hundred calls: trusted, the file is gone
    }

    /// A package that says nothing and remembers what it was asked, as `tests/golden/model_laws.py` has it.
    private final class Recorder: FunctionRunner {
        var calls: [[String: Any]] = []
        let rope: [Float], numSlots: Int, vocabularySize: Int

        init(_ config: ModelConfig, numSlots: Int) {
            (rope, self.numSlots) = (PackageBackend.ropeRows(config, numSlots), numSlots)
            vocabularySize = config.vocabularySize
        }

        func run(_ function: String, _ inputs: FunctionInputs) throws -> [Float] {
            let width = rope.count / numSlots, numTokens = inputs.tokenIDs.count
            let turned = (0..<numTokens).map { (token: Int) -> Int in
                let given = inputs.rope[token * width..<(token + 1) * width]
                return (0..<numSlots).first { rope[$0 * width..<($0 + 1) * width].elementsEqual(given) } ?? -1
            }
            let seen: [UInt8] = inputs.mask.map { $0 == 0 ? 1 : 0 }
            var call: [String: Any] = ["function": function, "position": Int(inputs.position), "turned_as": turned]
            call["ids"] = inputs.tokenIDs.map { Int($0) }
            call["seen"] = sha256(seen)
            call["row"] = NSNull()
            if let row = inputs.row { call["row"] = row.map { Int($0) } }
            calls.append(call)
            return [Float](repeating: 0, count: (inputs.row == nil ? numTokens : 1) * vocabularySize)
        }
    }

    // The functions of the package that the golden files were made with.
    private func ofTheLaws(_ law: Law) throws -> Contract {
        let functions = try #require(law.cases[0]["functions"] as? [[Any]])
        let entries = functions.map {
            Contract.Entry(name: $0[0] as? String ?? "", numTokens: $0[1] as? Int ?? 0, isPrefill: $0[2] as? Bool ?? false)
        }
        return try Contract(entries: entries, numSlots: try #require(law.cases[0]["slots"] as? Int))
    }

    // A phone's Core ML has to come within 0.25 of this law. Here the processor's network runs the same functions on the same
    // questions; it lacks the rounding of weights to 4 bits, which moves a logit by a sixth of their deviation.
    @Test func whatThePackageAnswersIsTheProcessorsButForItsRounding() throws {
        let law = try Law("coreml"), contract = try ofTheLaws(Law("runner"))
        let network = try CPUBackend(checking: repositoryFolder("keyboard_lm/bundled"))
        let config = try ModelConfig(file: repositoryFolder("keyboard_lm/bundled/config.json"))
        let runner = SlotRunner(network, contract, config), backend = PackageBackend(runner, contract, config)
        let fixed = (0..<16).map { $0 * (config.vocabularySize / 16) }
        var said: [Double] = [], given: [Double] = []
        for asked in law.cases {
            let tree = asked["tree"] as? [Int] ?? [], parents = asked["parents"] as? [Int] ?? []
            let rows = [try backend.prefill(asked["ids"] as? [Int] ?? [])] + (try backend.scoreTree(tree, parents: parents))
            let after = try #require(asked["after"] as? [[String: Any]])
            #expect(rows.count == after.count)
            for (row, answer) in zip(rows, after) {
                said += try #require(answer["fixed"] as? [Double])
                given += fixed.map { Double(row[$0]) }
            }
        }
        let mean = given.reduce(0, +) / Double(given.count)
        let deviation = (given.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(given.count)).squareRoot()
        let error = (zip(said, given).reduce(0) { $0 + ($1.0 - $1.1) * ($1.0 - $1.1) } / Double(given.count)).squareRoot()
        #expect(said.count > 400 && error < 0.2 * deviation, "\(error) of \(deviation)")
        #expect(runner.calls.count > law.cases.count && runner.calls.contains { $0.inputs.row != nil })
    }

    @Test func aPackageIsAskedAsPythonAsksIt() throws {
        let law = try Law("runner"), config = toy.config, contract = try ofTheLaws(law)
        let recorder = Recorder(config, numSlots: contract.numSlots), backend = PackageBackend(recorder, contract, config)
        try law.check({ $0["do"] != nil }) { asked in
            let ids = asked["ids"] as? [Int] ?? []
            recorder.calls = []
            switch asked["do"] as? String {
            case "prefill": _ = try backend.prefill(ids)
            case "decode": _ = try backend.decode(ids)
            case "score_tree": _ = try backend.scoreTree(ids, parents: asked["parents"] as? [Int] ?? [])
            default: backend.rewind(asked["length"] as? Int ?? 0)
            }
            var differences: [String] = []
            for (call, said) in zip(recorder.calls, asked["calls"] as? [[String: Any]] ?? []) {
                for (name, given) in call {
                    if let found = Law.difference(said[name] ?? NSNull(), given) { differences.append(name + found) }
                }
            }
            #expect(differences.isEmpty, "\(differences.prefix(3))")
            #expect(recorder.calls.count == (asked["calls"] as? [Any])?.count)
            return ["length": backend.length]
        }
    }
}
