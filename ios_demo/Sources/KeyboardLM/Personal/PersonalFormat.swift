/// The personal file's format, step by step from an empty database to the newest version.
///
/// A step that has shipped is never changed; `keyboard_lm/personal/migrations.py` is the law.
enum PersonalFormat {
    static let tables: Set<String> = ["ngram", "form", "pending", "block", "shortcut"]
    static var newestVersion: Int { steps.count }
    /// Versions that only a later program can have written; a number above is noise.
    static var newerVersions: Range<Int> { steps.count + 1..<100 }

    private static let steps = [
        [
            "CREATE TABLE state (num_events INTEGER, origin INTEGER, half_life REAL)",
            "CREATE TABLE ngram (context TEXT, word TEXT, mass REAL, PRIMARY KEY (context, word)) WITHOUT ROWID",
            "CREATE TABLE form (word TEXT, text TEXT, mass REAL, PRIMARY KEY (word, text)) WITHOUT ROWID",
            "CREATE TABLE pending (word TEXT PRIMARY KEY, seen_at REAL, event INTEGER) WITHOUT ROWID",
            "CREATE TABLE block (literal TEXT, corrected TEXT, PRIMARY KEY (literal, corrected)) WITHOUT ROWID",
        ],
        ["CREATE TABLE shortcut (typed TEXT PRIMARY KEY, text TEXT) WITHOUT ROWID"],
    ]

    /// Takes the steps that a file lacks, inside a transaction. Another process may have been faster: the version is read again.
    static func migrate(_ database: Database) throws {
        let version = try database.run("PRAGMA user_version").first?.first?.integer ?? 0
        for step in steps[min(max(version, 0), steps.count)...] {
            for statement in step { try database.run(statement) }
        }
        try database.run("PRAGMA user_version = \(steps.count)")
    }
}
