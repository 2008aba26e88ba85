internal import SQLite3

/// A value of a column.
package enum SQLValue: Equatable {
    case null
    case integer(Int64)
    case real(Double)
    case text(CodePoints)
    case blob

    package var text: CodePoints? { if case .text(let text) = self { text } else { nil } }
    package var real: Double? { if case .real(let real) = self { real } else { nil } }
    package var integer: Int? { if case .integer(let integer) = self { Int(integer) } else { nil } }
}

/// What SQLite reports, or what was read and makes no sense.
package struct DatabaseError: Error, CustomStringConvertible {
    package let code: Int32
    package let description: String

    /// What was read makes no sense.
    package static func damaged(_ reason: String) -> DatabaseError { DatabaseError(code: SQLITE_CORRUPT, description: reason) }

    /// Whether the content is at fault, and not what passes: another process, a full disk, no memory.
    package var isDamage: Bool { !Self.passing.contains(code & 0xFF) }

    private static let passing: Set<Int32> = [
        SQLITE_BUSY, SQLITE_LOCKED, SQLITE_IOERR, SQLITE_FULL, SQLITE_CANTOPEN, SQLITE_PERM, SQLITE_NOMEM, SQLITE_INTERRUPT,
        SQLITE_PROTOCOL, SQLITE_MISUSE,
    ]
}

/// One connection to an SQLite database; its statements are prepared once.
package final class Database {
    private var handle: OpaquePointer?
    private var statements: [String: OpaquePointer] = [:]

    /// - Parameter path: of the file, made if there is none; nil for one in memory.
    package init(path: String?, busyTimeoutMs: Int32) throws {
        let flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE
        let code = sqlite3_open_v2(path ?? ":memory:", &handle, flags, nil)
        guard code == SQLITE_OK else {
            let error = self.error(code)
            sqlite3_close(handle)
            throw error
        }
        sqlite3_extended_result_codes(handle, 1)
        sqlite3_busy_timeout(handle, busyTimeoutMs)
    }

    deinit { close() }

    package func close() {
        for statement in statements.values { sqlite3_finalize(statement) }
        statements = [:]
        sqlite3_close(handle)
        handle = nil
    }

    /// Rows changed since the database was opened.
    package var totalChanges: Int { Int(sqlite3_total_changes(handle)) }

    package var isInTransaction: Bool { sqlite3_get_autocommit(handle) == 0 }

    /// Runs a statement and returns its rows.
    @discardableResult
    package func run(_ sql: String, _ values: [SQLValue] = []) throws -> [[SQLValue]] {
        let statement = try prepared(sql)
        defer {
            sqlite3_reset(statement)
            sqlite3_clear_bindings(statement)
        }
        for (index, value) in values.enumerated() { try bind(statement, Int32(index + 1), value) }
        var rows: [[SQLValue]] = []
        while true {
            let code = sqlite3_step(statement)
            if code == SQLITE_DONE { return rows }
            guard code == SQLITE_ROW else { throw error(code) }
            rows.append(try (0..<sqlite3_column_count(statement)).map { try column(statement, $0) })
        }
    }

    /// Does all or nothing; other writers wait.
    package func transaction<Result>(_ change: () throws -> Result) throws -> Result {
        try run("BEGIN IMMEDIATE")
        do {
            let result = try change()
            try run("COMMIT")
            return result
        } catch {
            if isInTransaction { _ = try? run("ROLLBACK") }
            throw error
        }
    }

    private func prepared(_ sql: String) throws -> OpaquePointer? {
        if let known = statements[sql] { return known }
        var statement: OpaquePointer?
        let code = sqlite3_prepare_v2(handle, sql, -1, &statement, nil)
        guard code == SQLITE_OK, let statement else { throw error(code) }
        statements[sql] = statement
        return statement
    }

    private func bind(_ statement: OpaquePointer?, _ index: Int32, _ value: SQLValue) throws {
        let code: Int32
        switch value {
        case .null, .blob: code = sqlite3_bind_null(statement, index)
        case .integer(let integer): code = sqlite3_bind_int64(statement, index, integer)
        case .real(let real): code = sqlite3_bind_double(statement, index, real)
        case .text(let text):
            let bytes = Array(text.string.utf8)
            code = bytes.withUnsafeBytes {
                // A null pointer would bind NULL instead of an empty text. SQLite copies the bytes (-1: SQLITE_TRANSIENT).
                let start = $0.baseAddress?.assumingMemoryBound(to: CChar.self)
                let transient = unsafeBitCast(-1, to: sqlite3_destructor_type.self)
                return start.map { sqlite3_bind_text(statement, index, $0, Int32(bytes.count), transient) }
                    ?? sqlite3_bind_text(statement, index, "", 0, transient)
            }
        }
        guard code == SQLITE_OK else { throw error(code) }
    }

    private func column(_ statement: OpaquePointer?, _ index: Int32) throws -> SQLValue {
        switch sqlite3_column_type(statement, index) {
        case SQLITE_INTEGER: return .integer(sqlite3_column_int64(statement, index))
        case SQLITE_FLOAT: return .real(sqlite3_column_double(statement, index))
        case SQLITE_TEXT:
            let start = sqlite3_column_text(statement, index)
            let bytes = UnsafeBufferPointer(start: start, count: Int(sqlite3_column_bytes(statement, index)))
            guard let text = CodePoints(utf8: bytes) else { throw DatabaseError.damaged("a text that is not UTF-8") }
            return .text(text)
        case SQLITE_BLOB: return .blob
        default: return .null
        }
    }

    private func error(_ code: Int32) -> DatabaseError {
        let message = handle.flatMap { sqlite3_errmsg($0) }.map { String(cString: $0) } ?? String(cString: sqlite3_errstr(code))
        return DatabaseError(code: code, description: message)
    }
}

extension CodePoints {
    /// The text of some bytes; nil where they are not UTF-8.
    package init?(utf8 bytes: some Sequence<UInt8>) {
        var decoder = UTF8(), iterator = bytes.makeIterator(), values: [UInt32] = []
        while true {
            switch decoder.decode(&iterator) {
            case .scalarValue(let scalar): values.append(scalar.value)
            case .emptyInput:
                self.init(values)
                return
            case .error: return nil
            }
        }
    }
}
