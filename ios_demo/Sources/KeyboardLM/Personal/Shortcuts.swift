/// Text shortcuts: what the writer types for something longer, in the personal file. A space puts the text in.
package final class Shortcuts {
    private let file: PersonalFile
    private var epoch = -1
    private var texts: [CodePoints: CodePoints] = [:]
    private static let maxTyped = 48
    private static let maxText = 1000

    init(_ file: PersonalFile) { self.file = file }

    /// The texts by what is typed, in alphabetical order.
    package var all: [(typed: CodePoints, text: CodePoints)] {
        refresh()
        return texts.sorted { $0.key < $1.key }.map { ($0.key, $0.value) }
    }

    /// What a word, in any case, stands for; nil where it is no shortcut.
    package func text(_ word: CodePoints) -> CodePoints? {
        refresh()
        return texts.isEmpty ? nil : texts[Case.fold(word)]
    }

    /// Adds shortcuts; one that is there already gets its new text.
    ///
    /// - Throws: `KeyboardLMError` where one is not one word or its text is empty or too long; nothing was added.
    package func add(_ pairs: [(typed: CodePoints, text: CodePoints)]) throws {
        let checked = try pairs.map(Self.checked)
        try file.write { database in
            for (typed, text) in checked {
                try database.run("INSERT OR REPLACE INTO shortcut VALUES (?, ?)", [.text(typed), .text(text)])
            }
        }
        epoch = -1
    }

    /// Removes a shortcut, and returns whether there was one.
    package func remove(_ typed: CodePoints) throws -> Bool {
        let key = Case.fold(Normaliser.normalise(typed)), isThere = text(key) != nil
        try file.write { _ = try $0.run("DELETE FROM shortcut WHERE typed = ?", [.text(key)]) }
        epoch = -1
        try file.purge()
        return isThere
    }

    /// Reads all again when it is asked for next: the file was changed by other means.
    func reread() { epoch = -1 }

    // Only where the file has changed since it was read.
    private func refresh() {
        do {
            try file.read { database in
                guard epoch != file.epoch else { return }
                texts = [:]
                for row in try database.run("SELECT typed, text FROM shortcut") {
                    if let typed = row[0].text, let text = row[1].text { texts[typed] = text }
                }
                epoch = file.epoch
            }
        } catch {
            file.warn("not asked: \(error)")
        }
    }

    private static func checked(_ typed: CodePoints, _ text: CodePoints) throws -> (CodePoints, CodePoints) {
        let key = Case.fold(Normaliser.normalise(typed)), whole = Normaliser.normalise(text).trimmed
        guard !key.isEmpty, key.values.allSatisfy(CharacterClass.isAlphanumeric), key.count <= maxTyped else {
            throw KeyboardLMError(
                "'\(typed.prefix(40))' is no shortcut; give letters and digits without a space, \(maxTyped) at most")
        }
        guard !whole.isEmpty, whole.count <= maxText else {
            throw KeyboardLMError("the text of '\(typed)' must have 1 to \(maxText) characters, not \(whole.count)")
        }
        guard Case.fold(whole) != key else { throw KeyboardLMError("'\(typed)' stands for itself; give another text") }
        return (key, whole)
    }
}

extension CodePoints {
    /// The text without white space at its ends.
    package var trimmed: CodePoints {
        let kept = values.drop(while: CharacterClass.isSpace)
        return CodePoints(kept.dropLast(kept.reversed().prefix(while: CharacterClass.isSpace).count))
    }
}
