import Foundation

/// Owns everything that is not `Sendable` - network, suggester, store - and answers off the main thread, one request after another.
///
/// A serial queue and not an actor: inside an actor an `await` lets a second prediction in, which is undefined for one state of
/// a network. One a process: several controllers may be alive at once. A request that is no longer the newest when its turn comes
/// is dropped.
package final class EngineQueue: @unchecked Sendable {
    /// What answers, once it is opened.
    package struct Opened {
        let suggester: Suggester
        let store: PersonalStore
        let cost: CallCost
        let budgetMs: Double
        let editor: EditorOptions
        /// One line where something is missing that a keyboard can do without.
        let problem: String?
        /// The suggester's network, where another may take its place.
        let choice: BackendChoice?
        /// Of the package that may do so.
        let package: URL?

        package init(
            _ suggester: Suggester, _ store: PersonalStore, cost: CallCost, budgetMs: Double = CallCost.budgetMs,
            editor: EditorOptions, problem: String? = nil, choice: BackendChoice? = nil, package: URL? = nil
        ) {
            (self.suggester, self.store, self.cost) = (suggester, store, cost)
            (self.budgetMs, self.editor, self.problem) = (budgetMs, editor, problem)
            (self.choice, self.package) = (choice, package)
        }
    }

    /// What opening has come to, for the main thread.
    package struct State: Sendable {
        package let problem: String?
        /// The words that get a capital when they are finished, without those whose capital was taken back; nil for no engine, or
        /// none that was opened anew.
        package let capitalWords: Set<CodePoints>?
    }

    private let queue = DispatchQueue(label: "keyboard-lm.engine", qos: .userInteractive)
    private let condition = NSCondition()
    private var newest = 0  // guarded by `condition`
    private var finished: (ticket: Int, answer: Answer)?  // guarded by `condition`
    private var opened: Opened?  // touched on `queue` alone, as the next two
    private var tell: (@Sendable (State) -> Void)?
    private var told: String?

    package init() {}

    /// Opens the engine if that has not been done, and tells what came of it.
    package func open(_ make: @escaping @Sendable () throws -> Opened, done: @escaping @Sendable (State) -> Void) {
        queue.async {
            do {
                let opened = try self.opened ?? make()
                let isNew = self.opened == nil
                (self.opened, self.tell) = (opened, done)
                if isNew { self.loadPackage(opened) }
                let kept = opened.editor.capitalWords.filter { !opened.store.isBlocked($0, TextForm.capitalise($0)) }
                done(State(problem: opened.problem ?? opened.store.warnings.last, capitalWords: kept))
            } catch {
                done(State(problem: "\(error)", capitalWords: nil))
            }
        }
    }

    /// Another field has the keyboard: the moment at which another network may take over.
    package func fieldStarted() {
        queue.async {
            if self.opened?.choice?.fieldStarted() == true { self.opened?.suggester.forget() }
        }
    }

    private func loadPackage(_ opened: Opened) {
        #if canImport(CoreML)
            guard opened.choice != nil, let package = opened.package else { return }
            CoreMLLoader.load(package, failed: { problem in self.queue.async { self.tell(problem) } }) { backend in
                self.queue.async { self.opened?.choice?.offer(backend()) }
            }
        #endif
    }

    // What has gone wrong since the engine was opened: a disk that is full, a network that has failed.
    private func tell(_ problem: String?) {
        guard let problem, problem != told else { return }
        told = problem
        tell?(State(problem: problem, capitalWords: nil))
    }

    /// Answers with the bar for a field, on some thread; not at all where a newer request has come meanwhile.
    ///
    /// - Returns: a ticket to `wait` with.
    package func answer(_ request: Request, done: @escaping @Sendable (Answer) -> Void) -> Int {
        let ticket = condition.withLock {
            newest += 1
            return newest
        }
        queue.async {
            guard !self.isStale(ticket), let opened = self.opened else { return }
            let turn = Turn(cost: opened.cost, budgetMs: opened.budgetMs, isStale: { self.isStale(ticket) })
            let answer = Self.answer(opened, request, turn)
            self.condition.withLock {
                self.finished = (ticket, answer)
                self.condition.broadcast()
            }
            done(answer)
            if let problem = opened.choice?.problem { self.tell(problem) }
        }
        return ticket
    }

    /// Waits a bounded time for an answer; nil where it is not there by then.
    package func wait(for ticket: Int, atMostMs: Double) -> Answer? {
        let deadline = Date(timeIntervalSinceNow: atMostMs / 1000)
        return condition.withLock {
            while finished?.ticket != ticket {
                guard condition.wait(until: deadline) else { break }
            }
            return finished?.ticket == ticket ? finished?.answer : nil
        }
    }

    /// Learns words that the writer has left standing.
    package func learn(_ words: [FinishedWord]) {
        guard !words.isEmpty else { return }
        queue.async {
            guard let opened = self.opened else { return }
            for word in words { opened.store.learn(word, opened.suggester.form) }
            if let warning = opened.store.warnings.last { self.tell(warning) }
        }
    }

    /// Remembers that a correction was taken back.
    package func takeBack(_ undone: Undone) {
        queue.async {
            guard let store = self.opened?.store, store.shortcuts.text(undone.literal) == nil else { return }
            store.block(undone.literal, undone.corrected)
        }
    }

    /// Asks, or tells, the store something when its turn comes.
    ///
    /// - Throws: what `ask` throws; `KeyboardLMError` where there is no engine, and so no store.
    package func personal<Value: Sendable>(_ ask: @escaping @Sendable (PersonalStore) throws -> Value) async throws -> Value {
        try await withCheckedThrowingContinuation { continuation in
            queue.async {
                continuation.resume(
                    with: Result {
                        guard let store = self.opened?.store else { throw KeyboardLMError("nothing is learned here: there is no engine") }
                        return try ask(store)
                    })
            }
        }
    }

    /// Brings what was learned into its file and drops what the network has computed: a suspended keyboard may be killed, and is
    /// judged by its memory when it wakes.
    package func sleep() {
        queue.async {
            self.opened?.suggester.forget()
            self.opened?.store.checkpoint()
        }
    }

    private func isStale(_ ticket: Int) -> Bool { condition.withLock { newest != ticket } }

    private static func answer(_ opened: Opened, _ request: Request, _ turn: Turn) -> Answer {
        if let answer = try? opened.suggester.answer(request, turn) { return answer }
        opened.suggester.forget()  // the network has failed: the bar without it
        return (try? opened.suggester.answer(request, .noCalls()))
            ?? Answer(stage: .personalAndLexicon, revision: request.revision)
    }
}

extension EngineQueue.Opened {
    /// Opens a keyboard's files. Without a network that can be read, lexicon and what was learned make the bar.
    ///
    /// - Throws: `KeyboardLMError` where there are no words either: then the keyboard only types.
    package init(_ files: KeyboardFiles, options: SessionOptions) throws {
        let engine = try KeyboardEngine(files, options: options), known = engine.parts.language.lexicon.isKnown
        var problem: String?
        var choice: BackendChoice?
        do {
            let processor = try CPUBackend(checking: files.model, threads: options.numThreads, precision: options.precision)
            let sentinel = options.personal.map {
                CrashSentinel(
                    file: URL(fileURLWithPath: $0).deletingLastPathComponent().appending(path: "first-calls"),
                    version: ProcessInfo.processInfo.operatingSystemVersionString + " " + options.version)
            }
            choice = BackendChoice(processor: processor, sentinel: sentinel)
        } catch {
            problem = "\(error)"
        }
        let backend: any Backend = choice ?? NoBackend(vocabularySize: engine.parts.tokenizer.vocabularySize)
        let store: PersonalStore
        do {
            store = try PersonalStore(path: options.personal, knows: known)
        } catch {
            problem = problem ?? "\(error)"
            store = try PersonalStore(path: nil, knows: known)
        }
        self.init(
            try Suggester(backend, engine.parts, personal: store), store, cost: try engine.cost(options.device),
            budgetMs: choice == nil ? 0 : options.budgetMs, editor: engine.pack.editor, problem: problem, choice: choice,
            package: files.model)
    }
}

/// Stands where a network is missing; nobody has the budget to ask it.
private final class NoBackend: Backend {
    let length = 0
    let capacity = 1024
    let maxContextLength = 1024
    let vocabularySize: Int

    init(vocabularySize: Int) { self.vocabularySize = vocabularySize }

    func prefill(_ ids: [Int]) throws -> [Float] { throw KeyboardLMError("there is no model; export it again") }
    func decode(_ ids: [Int]) throws -> [Float] { throw KeyboardLMError("there is no model; export it again") }
    func scoreTree(_ ids: [Int], parents: [Int]) throws -> [[Float]] {
        throw KeyboardLMError("there is no model; export it again")
    }
    func rewind(_ length: Int) {}
}
