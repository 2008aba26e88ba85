import Foundation

/// Decayed counts in the tables of a personal file; `keyboard_lm/personal/counts.py` is the law.
///
/// A count decays by standing still while new ones grow: an occurrence is written with a mass that doubles every half-life. When
/// masses have grown far, all are brought down together.
enum Counts {
    /// Where a file stands.
    struct State: Equatable {
        /// Words learned since it was made.
        let numEvents: Int
        /// The event at which an occurrence has a mass of 1.
        let origin: Int
        /// Events after which it counts half.
        let halfLife: Double

        /// What an occurrence at the latest event weighs.
        var mass: Double { exp2(Double(numEvents - origin) / halfLife) }

        /// The state one event on.
        var next: State { State(numEvents: numEvents + 1, origin: origin, halfLife: halfLife) }
    }

    static let maxGrowth = 512.0  // half-lives until masses are brought down; a double has room for 1023
    private static let negligible = 1e-30
    // Damage that SQLite does not see must not become a NaN.
    static let isSane = "typeof(word) = 'text' AND typeof(mass) = 'real' AND mass > 0 AND mass < 1e200"

    /// - Parameter halfLife: that of a file that has no state yet.
    static func readState(_ database: Database, _ halfLife: Double) throws -> State {
        guard let row = try database.run("SELECT num_events, origin, half_life FROM state").first else {
            return State(numEvents: 0, origin: 0, halfLife: halfLife)
        }
        guard let numEvents = row[0].integer, let origin = row[1].integer, let halfLife = row[2].real,
            0 <= origin, origin <= numEvents, 1 <= halfLife, halfLife < .infinity,
            Double(numEvents - origin) <= (maxGrowth + 1) * halfLife
        else { throw DatabaseError.damaged("impossible state") }
        return State(numEvents: numEvents, origin: origin, halfLife: halfLife)
    }

    static func writeState(_ database: Database, _ state: State) throws {
        try database.run("DELETE FROM state")
        try database.run(
            "INSERT INTO state VALUES (?, ?, ?)",
            [.integer(Int64(state.numEvents)), .integer(Int64(state.origin)), .real(state.halfLife)])
    }

    static func addNgram(_ database: Database, _ context: CodePoints, _ word: CodePoints, _ mass: Double) throws {
        try database.run(
            "INSERT INTO ngram VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET mass = mass + excluded.mass",
            [.text(context), .text(word), .real(mass)])
    }

    static func addForm(_ database: Database, _ word: CodePoints, _ text: CodePoints, _ mass: Double) throws {
        try database.run(
            "INSERT INTO form VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET mass = mass + excluded.mass",
            [.text(word), .text(text), .real(mass)])
    }

    /// The masses of the words that followed a context.
    ///
    /// - Parameter kept: a word of the file, as it is to be held.
    static func continuations(
        _ database: Database, _ context: CodePoints, kept: (CodePoints) -> CodePoints
    ) throws -> [CodePoints: Double] {
        let rows = try database.run("SELECT word, mass FROM ngram WHERE context = ? AND \(isSane)", [.text(context)])
        var masses = [CodePoints: Double](minimumCapacity: rows.count)
        for row in rows { if let word = row[0].text, let mass = row[1].real { masses[kept(word)] = mass } }
        return masses
    }

    /// How a word is mostly written.
    static func heaviestForm(_ database: Database, _ word: CodePoints) throws -> CodePoints {
        let query = "SELECT text FROM form WHERE word = ? AND \(isSane) ORDER BY mass DESC, text LIMIT 1"
        return try database.run(query, [.text(word)]).first?.first?.text ?? word
    }

    /// Brings all masses down, so that an occurrence has a mass of 1 again, and drops those that nothing is left of.
    static func rebase(_ database: Database, _ state: State, _ halfLife: Double) throws -> State {
        for table in ["ngram", "form"] {
            try database.run("UPDATE \(table) SET mass = mass / ?", [.real(state.mass)])
            try database.run("DELETE FROM \(table) WHERE mass < ?", [.real(negligible)])
        }
        try dropOrphans(database)
        return State(numEvents: state.numEvents, origin: state.numEvents, halfLife: halfLife)
    }

    /// Drops the weakest n-grams if there are too many, a tenth of them at least, and says whether it was done.
    static func evict(_ database: Database, _ maxNgrams: Int) throws -> Bool {
        let number = try database.run("SELECT COUNT(*) FROM ngram").first?.first?.integer ?? 0
        guard number > maxNgrams else { return false }
        let kept = maxNgrams - maxNgrams / 10
        let query = "SELECT mass FROM ngram ORDER BY mass DESC LIMIT 1 OFFSET ?"
        guard let mass = try database.run(query, [.integer(Int64(kept))]).first?.first else { return false }
        try database.run("DELETE FROM ngram WHERE mass <= ?", [mass])
        try dropOrphans(database)
        return true
    }

    /// Deletes all that holds a folded word, and returns how many rows that were.
    static func forget(_ database: Database, _ word: CodePoints) throws -> Int {
        let before = database.totalChanges
        try database.run(
            "DELETE FROM ngram WHERE word = ? OR instr(' ' || context || ' ', ?)",
            [.text(word), .text(CodePoints(" ") + word + 0x20)])
        try database.run("DELETE FROM form WHERE word = ?", [.text(word)])
        try database.run("DELETE FROM pending WHERE word = ?", [.text(word)])
        return database.totalChanges - before
    }

    private static func dropOrphans(_ database: Database) throws {
        try database.run("DELETE FROM form WHERE word NOT IN (SELECT word FROM ngram WHERE context = '')")
    }
}
