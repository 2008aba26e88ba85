import Foundation

/// Everything a personal store knows as JSON lines, out and in; `keyboard_lm/personal/archive.py` describes the lines.
enum Archive {
    enum Row {
        case ngram([CodePoints], count: Double)
        case form(CodePoints, CodePoints, count: Double)
        case pending(CodePoints, seenAt: Double, wordsAgo: Int)
        case block(CodePoints, CodePoints)
        case shortcut(CodePoints, CodePoints)
    }

    private static let format = "keyboard-lm personal store"
    private static let version = 1

    /// What a file holds, the line that names the format first.
    static func text(_ database: Database, _ halfLife: Double) throws -> String {
        let state = try Counts.readState(database, halfLife)
        var lines = [#"{"format": \#(quoted(CodePoints(format))), "version": \#(version)}"#]
        for row in try sane(database, "ngram", Counts.isSane) {
            guard let context = row[0].text, let word = row[1].text, let mass = row[2].real else { continue }
            let words = (context.words() + [word]).map(quoted).joined(separator: ", ")
            lines.append(#"{"ngram": [\#(words)], "count": \#(mass / state.mass)}"#)
        }
        for row in try sane(database, "form", Counts.isSane) {
            guard let word = row[0].text, let text = row[1].text, let mass = row[2].real else { continue }
            lines.append(#"{"form": [\#(quoted(word)), \#(quoted(text))], "count": \#(mass / state.mass)}"#)
        }
        for row in try sane(database, "pending", "typeof(seen_at) = 'real' AND typeof(event) = 'integer'") {
            guard let word = row[0].text, let seenAt = row[1].real, let event = row[2].integer else { continue }
            lines.append(
                #"{"pending": \#(quoted(word)), "seen_at": \#(seenAt), "words_ago": \#(state.numEvents - event)}"#)
        }
        for (table, column) in [("block", "corrected"), ("shortcut", "text")] {
            for row in try sane(database, table, "typeof(\(column)) = 'text'") {
                guard let first = row[0].text, let second = row[1].text else { continue }
                lines.append(#"{"\#(table)": [\#(quoted(first)), \#(quoted(second))]}"#)
            }
        }
        return lines.joined(separator: "\n") + "\n"
    }

    private static func sane(_ database: Database, _ table: String, _ condition: String) throws -> [[SQLValue]] {
        try database.run("SELECT * FROM \(table) WHERE \(condition) ORDER BY 1, 2")
    }

    private static func quoted(_ text: CodePoints) -> String {
        var quoted = "\""
        for scalar in text.string.unicodeScalars {
            switch scalar.value {
            case 0x22: quoted += "\\\""
            case 0x5C: quoted += "\\\\"
            case ..<0x20, 0x7F, 0x85, 0x2028, 0x2029: quoted += String(format: "\\u%04x", scalar.value)
            default: quoted.unicodeScalars.append(scalar)
            }
        }
        return quoted + "\""
    }

    private struct Line: Decodable {
        let format: String?
        let version: Int?
        let ngram, form, block, shortcut: [String]?
        let pending: String?
        let count, seen_at: Double?
        let words_ago: Int?

        /// The names that are there, in alphabetical order.
        var names: [String] {
            let there: [(String, Bool)] = [
                ("block", block != nil), ("count", count != nil), ("form", form != nil), ("format", format != nil),
                ("ngram", ngram != nil), ("pending", pending != nil), ("seen_at", seen_at != nil),
                ("shortcut", shortcut != nil), ("version", version != nil), ("words_ago", words_ago != nil),
            ]
            return there.filter(\.1).map(\.0)
        }
    }

    /// The rows of what `text` gave.
    ///
    /// - Throws: `KeyboardLMError` where a line is none of a store's.
    static func rows(_ text: String, _ words: PersonalWords) throws -> [Row] {
        var rows: [Row] = []
        for (index, content) in text.split(separator: "\n", omittingEmptySubsequences: false).enumerated() {
            if content.isEmpty && index > 0 { continue }
            let line = try? JSONDecoder().decode(Line.self, from: Data(content.utf8))
            if index == 0 {
                if line?.format == format, let found = line?.version, found > version {
                    throw KeyboardLMError("what was exported has version \(found), newer than this program; update it")
                }
                guard line?.names == ["format", "version"], line?.format == format, line?.version == version else {
                    throw wrong(index)
                }
                continue
            }
            guard let line, let row = row(line, words) else { throw wrong(index) }
            rows.append(row)
        }
        return rows
    }

    private static func wrong(_ index: Int) -> KeyboardLMError {
        KeyboardLMError("line \(index + 1) is not of a personal store's export; export it again")
    }

    private static func row(_ line: Line, _ words: PersonalWords) -> Row? {
        func isKey(_ word: CodePoints) -> Bool { !word.isEmpty && words.token(word).key == word }
        func pair(_ texts: [String]?) -> (CodePoints, CodePoints)? {
            texts.flatMap { $0.count == 2 ? (CodePoints($0[0]), CodePoints($0[1])) : nil }
        }
        let count = line.count.flatMap { $0 > 0 && $0 < 1e12 ? $0 : nil }
        switch line.names {
        case ["count", "ngram"]:
            let all = (line.ngram ?? []).map { CodePoints($0) }
            guard let count, (1...3).contains(all.count), let word = all.last, isKey(word) else { return nil }
            let isRight = all.dropLast().enumerated().allSatisfy { isKey($1) || ($0 == 0 && $1 == PersonalWords.start) }
            return isRight ? .ngram(all, count: count) : nil
        case ["count", "form"]:
            guard let count, let (word, text) = pair(line.form), isKey(word), words.token(text).text == text,
                Case.fold(text) == word
            else { return nil }
            return .form(word, text, count: count)
        case ["pending", "seen_at", "words_ago"]:
            guard let word = line.pending.map({ CodePoints($0) }), isKey(word), let seenAt = line.seen_at, seenAt.isFinite,
                let wordsAgo = line.words_ago, 0 <= wordsAgo, wordsAgo < 1 << 53
            else { return nil }
            return .pending(word, seenAt: seenAt, wordsAgo: wordsAgo)
        case ["block"]: return pair(line.block).map { .block($0.0, $0.1) }
        case ["shortcut"]:
            return pair(line.shortcut).flatMap { $0.0.isEmpty || $0.1.isEmpty ? nil : .shortcut($0.0, $0.1) }
        default: return nil
        }
    }

    /// Adds rows to what a file in this state holds, in a transaction.
    static func add(_ database: Database, _ rows: [Row], _ state: Counts.State) throws {
        for row in rows {
            switch row {
            case .ngram(let words, let count):
                let context = CodePoints.joined(Array(words.dropLast()), by: 0x20)
                try Counts.addNgram(database, context, words[words.count - 1], count * state.mass)
            case .form(let word, let text, let count): try Counts.addForm(database, word, text, count * state.mass)
            case .pending(let word, let seenAt, let wordsAgo):
                try database.run(
                    "INSERT OR IGNORE INTO pending VALUES (?, ?, ?)",
                    [.text(word), .real(seenAt), .integer(Int64(state.numEvents - wordsAgo))])
            case .block(let literal, let corrected):
                try database.run("INSERT OR IGNORE INTO block VALUES (?, ?)", [.text(literal), .text(corrected)])
            case .shortcut(let typed, let text):
                try database.run("INSERT OR IGNORE INTO shortcut VALUES (?, ?)", [.text(typed), .text(text)])
            }
        }
    }
}
