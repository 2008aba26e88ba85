/// The page of the keyboard that shows what it has learned: words to be forgotten, and what is done to all of them.
///
/// Cells in rows of equal width, drawn by a view that knows nothing of them. What cannot be taken back needs a second touch.
public struct LearnedPanel: Sendable {
    public enum Action: Equatable, Sendable {
        case forget(String), eraseAll
        /// Types all that was learned into the field, as `keyboard-lm learned import` and the app read it.
        case typeAll
        case close
    }

    private enum Cell: Equatable {
        case word(String), more, typeAll, eraseAll, close, none
    }

    private let words: [String]
    private let problem: String?
    private var page = 0
    private var asked: Cell?  // was touched once
    private static let columns = 3, rowsOfWords = 3

    /// - Parameters:
    ///   - words: that were learned, those used most first.
    ///   - problem: a line in their place.
    public init(words: [String], problem: String? = nil) { (self.words, self.problem) = (words, problem) }

    /// What stands in the cells, row by row.
    public var rows: [[String]] {
        cells.map { row in
            row.map { cell in
                switch cell {
                case .word(let word): cell == asked ? "forget \(word)?" : word
                case .more: numPages > 1 ? "more (\(page + 1)/\(numPages))" : ""
                case .typeAll: "type all"
                case .eraseAll: cell == asked ? "erase all?" : "erase"
                case .close: "ABC"
                case .none: ""
                }
            }
        }
    }

    /// One line over the words.
    public var title: String {
        if let problem { return problem }
        return words.isEmpty ? "No words learned yet" : "\(words.count) words learned; touch one to forget it"
    }

    /// A cell was touched; what is to be done now, if anything is.
    public mutating func touch(row: Int, column: Int) -> Action? {
        guard cells.indices.contains(row), cells[row].indices.contains(column) else { return nil }
        let cell = cells[row][column], before = asked
        asked = nil
        switch cell {
        case .word(let word):
            if before == cell { return .forget(word) }
            asked = cell
        case .eraseAll:
            if before == cell { return .eraseAll }
            asked = cell
        case .more: page = (page + 1) % numPages
        case .typeAll: return .typeAll
        case .close: return .close
        case .none: break
        }
        return nil
    }

    private var numPages: Int { max((words.count + Self.numWords - 1) / Self.numWords, 1) }
    private static let numWords = columns * rowsOfWords

    private var cells: [[Cell]] {
        let shown = words.dropFirst(page * Self.numWords).prefix(Self.numWords).map(Cell.word)
        let filled = shown + [Cell](repeating: .none, count: Self.numWords - shown.count)
        let rows = (0..<Self.rowsOfWords).map { Array(filled[$0 * Self.columns..<($0 + 1) * Self.columns]) }
        return rows + [words.isEmpty ? [.close] : [.close, .more, .typeAll, .eraseAll]]
    }
}
