import Foundation

/// The personal store: learns what one user commits, answers before each word, forgets on request.
///
/// A decayed n-gram cache over folded words: the contexts in use in memory, all of it in one file. A learned word is in the file
/// when `learn` returns; a word that nobody knows is learned when it is seen again. `keyboard_lm/personal/store.py` is the law,
/// and its files are read and written here. To be used from one thread.
public final class PersonalStore {
    package enum Source: String { case typed, accepted, restored }

    /// What the writer types for something longer.
    package let shortcuts: Shortcuts
    package let options: PersonalOptions
    let words = PersonalWords()
    private let file: PersonalFile
    private let clock: () -> Double
    private let knows: (CodePoints) -> Bool
    private var epoch = -1  // of the file, when what follows was read from it
    private var state: Counts.State
    private var tables: [CodePoints: (table: Continuations, used: Int)] = [:]  // by context, with when it was asked for
    private var numAsked = 0
    private var texts: [CodePoints: CodePoints] = [:]  // folded word, to it as it is mostly written
    private var knownBlocks: Set<Pair>?
    private var last: (tokens: [CodePoints], found: Interpolation)?  // the context asked about last
    private static let maxContexts = 1024  // held in memory
    private static let tidyEvery = 1000  // learned words

    struct Pair: Hashable { let literal, corrected: CodePoints }

    /// Opens a file, which is made if there is none; nil keeps everything in memory.
    ///
    /// A damaged file is set aside, which adds a warning.
    /// - Parameters:
    ///   - clock: seconds of the day, not of the process: sightings by different processes are compared.
    ///   - knows: whether the lexicon or the model knows a word, so that it is no typo.
    /// - Throws: `KeyboardLMError` where it cannot be opened, is something else, or is of a newer version.
    package init(
        path: String?, options: PersonalOptions = PersonalOptions(),
        clock: @escaping () -> Double = { Date().timeIntervalSince1970 }, knows: @escaping (CodePoints) -> Bool = { _ in false }
    ) throws {
        file = try PersonalFile(path: path)
        (self.options, self.clock, self.knows) = (options, clock, knows)
        state = Counts.State(numEvents: 0, origin: 0, halfLife: options.halfLifeWords)
        shortcuts = Shortcuts(file)
    }

    package func close() { file.close() }

    /// What went wrong without stopping anything, the latest last.
    package var warnings: [String] { file.warnings }

    /// Brings the log into the file: what is asleep may be killed.
    package func checkpoint() { file.checkpoint() }

    // MARK: Learning

    private struct Learned {
        let state: Counts.State
        let ngrams: [(context: CodePoints, word: CodePoints, mass: Double)]
        let isRebased: Bool
    }

    /// Learns what was committed, in one transaction; where the file cannot be written now, that adds a warning.
    ///
    /// - Parameters:
    ///   - learned: what was committed, in order, as form tokens.
    ///   - context: what stands before it; nothing is learned about that.
    ///   - source: words accepted from the bar or restored after a correction are meant as they are and learned at once.
    package func learn(_ learned: [CodePoints], after context: [CodePoints] = [], source: Source = .typed) {
        guard learned.contains(where: { !words.token($0).key.isEmpty }) else { return }
        let now = clock(), tidiedBefore: Int, found: Learned
        do {
            found = try file.write { database in
                try refresh(database)
                return try write(database, learned, context, source, now)
            }
        } catch {
            return file.warn("not learned: \(error)")
        }
        tidiedBefore = state.numEvents / Self.tidyEvery
        (state, last) = (found.state, nil)
        if found.isRebased { epoch = -1 }
        for (context, word, mass) in found.ngrams {
            texts[word] = nil
            tables[context]?.table.add(tables[""]?.table.kept(word) ?? word, mass)
        }
        if state.numEvents / Self.tidyEvery > tidiedBefore { tidy() }
    }

    private func write(
        _ database: Database, _ learned: [CodePoints], _ context: [CodePoints], _ source: Source, _ now: Double
    ) throws -> Learned {
        var state = self.state, isRebased = false
        let known = try table(database, "")
        var new: Set<CodePoints> = []
        var ngrams: [(context: CodePoints, word: CodePoints, mass: Double)] = []
        let tokens = context + learned
        for (index, text) in learned.enumerated() {
            let token = words.token(text)
            guard !token.key.isEmpty else { continue }
            state = state.next
            if Double(state.numEvents - state.origin) > Counts.maxGrowth * state.halfLife || state.halfLife != options.halfLifeWords {
                state = try Counts.rebase(database, state, options.halfLifeWords)
                isRebased = true
            }
            func isKnown(_ key: CodePoints) -> Bool { known.contains(key) || new.contains(key) }
            let sightings =
                isKnown(token.key) ? 1 : try self.sightings(database, token, event: state.numEvents, source, now)
            guard sightings > 0 else { continue }
            let keys = words.history(tokens[..<(context.count + index)], isKnown: isKnown)
            for (_, contextKey) in PersonalWords.contexts(keys) {
                let mass = state.mass * Double(contextKey.isEmpty ? sightings : 1)
                try Counts.addNgram(database, contextKey, token.key, mass)
                ngrams.append((contextKey, token.key, mass))
            }
            try Counts.addForm(database, token.key, token.text, state.mass)
            new.insert(token.key)
        }
        try Counts.writeState(database, state)
        return Learned(state: state, ngrams: ngrams, isRebased: isRebased)
    }

    // How many sightings of a new word count now: none as long as it may be a typo.
    private func sightings(
        _ database: Database, _ token: PersonalToken, event: Int, _ source: Source, _ now: Double
    ) throws -> Int {
        let key = SQLValue.text(token.key)
        let seen = try database.run("SELECT seen_at, event FROM pending WHERE word = ?", [key])
        let isMeant = source != .typed || token.isSymbol || knows(token.text)
        if !isMeant {
            guard let row = seen.first, event - (row[1].integer ?? 0) <= options.quarantineWords else {
                try database.run("INSERT OR REPLACE INTO pending VALUES (?, ?, ?)", [key, .real(now), .integer(Int64(event))])
                return 0
            }
            let passed = now - (row[0].real ?? 0)
            if 0 <= passed && passed < options.quarantineSeconds { return 0 }
        }
        try database.run("DELETE FROM pending WHERE word = ?", [key])
        return 1 + seen.count
    }

    // Drops the weakest n-grams where there are too many, and unknown words that were seen once, long ago.
    private func tidy() {
        do {
            try file.write { database in
                let oldest = Int64(state.numEvents - options.quarantineWords)
                try database.run("DELETE FROM pending WHERE event < ?", [.integer(oldest)])
                if try Counts.evict(database, options.maxNgrams) { epoch = -1 }
            }
        } catch {
            file.warn("nothing dropped: \(error)")
        }
    }

    // MARK: Answering

    /// Looks only once for what other processes have written, however much is asked inside.
    package func held<Result>(_ body: () throws -> Result) rethrows -> Result { try file.held(body) }

    /// All that is known after a context, to be asked until something is learned; nil where nothing is.
    package func view(_ context: [CodePoints]) -> PersonalView? {
        read(otherwise: nil) { database in
            let found = try at(database, context)
            return found.weight > 0 ? PersonalView(self, found) : nil
        }
    }

    /// The heaviest words of all, as they are mostly written; nil for every one.
    package func heaviestWords(_ limit: Int? = nil) -> [CodePoints] {
        read(otherwise: []) { database in
            let table = try self.table(database, "")
            return try table.best("", limit ?? table.count).map { try text(database, $0) }
        }
    }

    /// How many words have been learned.
    package var numWords: Int { read(otherwise: 0) { try table($0, "").count } }

    /// How folded words are mostly written.
    package func texts(_ keys: [CodePoints]) -> [CodePoints] {
        read(otherwise: keys) { database in try keys.map { try text(database, $0) } }
    }

    /// Whether a word has been learned, in any case, so that no correction should touch it.
    package func isKnown(_ word: CodePoints) -> Bool {
        read(otherwise: false) { try table($0, "").contains(words.key(of: word)) }
    }

    // MARK: Corrections that were taken back

    /// Remembers that the user took back a correction; where the file cannot be written now, that adds a warning.
    package func block(_ literal: CodePoints, _ corrected: CodePoints) {
        let pair = self.pair(literal, corrected)
        do {
            try file.write {
                _ = try $0.run("INSERT OR IGNORE INTO block VALUES (?, ?)", [.text(pair.literal), .text(pair.corrected)])
            }
            knownBlocks = nil
        } catch {
            file.warn("not remembered: \(error)")
        }
    }

    /// Forgets that the user took back a correction.
    package func unblock(_ literal: CodePoints, _ corrected: CodePoints) throws {
        let pair = self.pair(literal, corrected)
        try file.write { try delete($0, pair) }
        knownBlocks = nil
        try file.purge()
    }

    /// The corrections that the user took back, in alphabetical order.
    package var blocks: [(literal: CodePoints, corrected: CodePoints)] {
        blockSet.sorted { $0.literal != $1.literal ? $0.literal < $1.literal : $0.corrected < $1.corrected }
            .map { ($0.literal, $0.corrected) }
    }

    /// Whether the user took back this very correction.
    package func isBlocked(_ literal: CodePoints, _ corrected: CodePoints) -> Bool {
        let blocks = blockSet
        return !blocks.isEmpty && blocks.contains(pair(literal, corrected))
    }

    /// Whether the user took back any correction of a word but of its case, so that none should touch it.
    package func isProtected(_ word: CodePoints) -> Bool {
        let blocks = blockSet
        guard !blocks.isEmpty else { return false }
        let key = words.key(of: word)
        return blocks.contains { $0.literal == key && Case.fold($0.corrected) != key }
    }

    private var blockSet: Set<Pair> {
        read(otherwise: []) { database in
            if let knownBlocks { return knownBlocks }
            let found = Set(try readBlocks(database))
            knownBlocks = found
            return found
        }
    }

    private func readBlocks(_ database: Database) throws -> [Pair] {
        try database.run("SELECT literal, corrected FROM block").compactMap { row in
            guard let literal = row[0].text, let corrected = row[1].text else { return nil }
            return Pair(literal: literal, corrected: corrected)
        }
    }

    private func delete(_ database: Database, _ pair: Pair) throws {
        try database.run(
            "DELETE FROM block WHERE literal = ? AND corrected = ?", [.text(pair.literal), .text(pair.corrected)])
    }

    // Pairs that differ in case only are kept as they are written.
    private func pair(_ literal: CodePoints, _ corrected: CodePoints) -> Pair {
        let keys = Pair(literal: words.key(of: literal), corrected: words.key(of: corrected))
        if keys.literal != keys.corrected { return keys }
        return Pair(literal: Normaliser.normalise(literal), corrected: Normaliser.normalise(corrected))
    }

    // MARK: The user's rights

    /// Deletes a word in any case, all phrases with it and all that was remembered of its corrections.
    ///
    /// - Returns: whether anything was known of it.
    package func forget(_ word: CodePoints) throws -> Bool {
        let key = words.key(of: word)
        let numRows = try file.write { database in
            let pairs = try readBlocks(database).filter { Case.fold($0.literal) == key || Case.fold($0.corrected) == key }
            for pair in pairs { try delete(database, pair) }
            return try pairs.count + Counts.forget(database, key)
        }
        epoch = -1
        try file.purge()
        return numRows > 0
    }

    /// Deletes everything: what the file and its log hold, and damaged files that were set aside.
    package func clear() throws {
        try file.write { database in
            for table in PersonalFormat.tables.sorted() + ["state"] { try database.run("DELETE FROM \(table)") }
        }
        epoch = -1
        shortcuts.reread()
        try file.removeSetAside()
        try file.purge()
    }

    /// Everything as JSON lines, which either engine reads (see `Archive`).
    package func archive() throws -> String {
        try file.write { try Archive.text($0, options.halfLifeWords) }
    }

    /// Adds what `archive` gave to what is known, counts as they were then; nothing where a line is wrong.
    package func add(archive text: String) throws {
        let rows = try Archive.rows(text, words)
        try file.write { database in
            try refresh(database)
            try Archive.add(database, rows, state)
            try Counts.writeState(database, state)
        }
        epoch = -1
        shortcuts.reread()
    }

    // MARK: Memory

    private func read<Result>(otherwise: Result, _ ask: (Database) throws -> Result) -> Result {
        do {
            return try file.read { database in
                try refresh(database)
                return try ask(database)
            }
        } catch {
            file.warn("not asked: \(error)")
            return otherwise
        }
    }

    // Drops what is in memory if the file has changed since it was read.
    private func refresh(_ database: Database) throws {
        guard epoch != file.epoch else { return }
        tables.removeAll(keepingCapacity: true)
        texts.removeAll(keepingCapacity: true)
        (knownBlocks, last) = (nil, nil)
        state = try Counts.readState(database, options.halfLifeWords)
        epoch = file.epoch
    }

    // From one letter of a word to the next nothing changes.
    private func at(_ database: Database, _ context: [CodePoints]) throws -> Interpolation {
        if let last, last.tokens == context { return last.found }
        let orders = try PersonalWords.contexts(words.history(context)).map { ($0.order, try table(database, $0.key)) }
        let found = Interpolation(orders, scale: 1 / state.mass, options)
        last = (context, found)
        return found
    }

    private func table(_ database: Database, _ context: CodePoints) throws -> Continuations {
        numAsked += 1
        if let known = tables[context]?.table {
            tables[context]?.used = numAsked
            return known
        }
        let all = context.isEmpty ? nil : try table(database, "")
        let made = Continuations(try Counts.continuations(database, context) { all?.kept($0) ?? $0 })
        if tables.count >= Self.maxContexts {
            let oldest = tables.values.map(\.used).sorted()[Self.maxContexts / 4]
            tables = tables.filter { $0.value.used > oldest }
        }
        tables[context] = (made, numAsked)
        return made
    }

    private func text(_ database: Database, _ key: CodePoints) throws -> CodePoints {
        if let text = texts[key] { return text }
        let form = try Counts.heaviestForm(database, key), text = form == key ? key : form
        texts[key] = text
        return text
    }
}

/// What is known after one context, made by `PersonalStore.view`; it holds until something is learned.
package final class PersonalView {
    /// The personal model's share of a mixture, above 0 and below 1.
    package let weight: Double
    private let store: PersonalStore
    private let found: Interpolation
    private let left: Double
    private var joints: [CodePoints: Double] = [:]  // by word as cased: one answer asks about many several times

    fileprivate init(_ store: PersonalStore, _ found: Interpolation) {
        (self.store, self.found) = (store, found)
        (weight, left) = (found.weight, 1 - found.weight)
    }

    /// A word's probability: 1 - weight parts the model's, weight parts the personal one.
    package func mix(_ modelProbability: Double, _ word: CodePoints) -> Double {
        if let joint = joints[word] { return left * modelProbability + joint }
        let joint = found.joint(Case.fold(word))
        joints[word] = joint
        return left * modelProbability + joint
    }

    /// The most probable words that begin with what was typed, in any case, as they are mostly written.
    package func candidates(_ prefix: CodePoints, _ limit: Int) -> [CodePoints] {
        store.texts(found.best(Case.fold(Normaliser.normalise(prefix)), limit))
    }
}
