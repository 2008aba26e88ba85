import Foundation

/// The personal file: SQLite that survives a killed process, a damaged file and a second process.
///
/// It is the Python engine's file: `keyboard_lm/personal/file.py` is the law. Every write is one transaction, which a killed
/// process cannot leave half done. A file that turns out to be damaged is renamed, a new one takes its place, and whatever was
/// being done is done again on that.
package final class PersonalFile {
    /// Nil where everything is in memory.
    package let path: String?
    /// What went wrong without stopping anything, the latest last.
    package private(set) var warnings: [String] = []
    /// Goes up whenever what was read before no longer holds.
    package private(set) var epoch = 0
    private var inode: FileIdentity?
    private var dataVersion: SQLValue?
    private var open: Database?
    private var isHeld = false
    private var wasLookedAt = false

    private static let applicationID = 0x6B6C_6D70  // "klmp"
    private static let busyTimeoutMs: Int32 = 2000
    private static let maxWarnings = 20
    private static let suffixes = ["-wal", "-shm", ""]  // the log first: a new file must not find the old one's
    private static let setAside = ".corrupt-"

    /// - Throws: `KeyboardLMError` where the file cannot be opened, is something else, or is of a newer version.
    package init(path: String?) throws {
        self.path = path
        _ = try guarded { try connected() }
    }

    private var name: String { path ?? "what was learned" }

    /// Closes the file; what comes later opens it again.
    package func close() {
        open?.close()
        open = nil
    }

    /// Adds a warning; one that repeats itself is kept once.
    package func warn(_ message: String) {
        guard !warnings.contains(message) else { return }
        warnings = warnings.suffix(Self.maxWarnings - 1) + [message]
    }

    /// Runs `ask`, having looked whether another process has written; it must be ready to be run again.
    package func read<Result>(_ ask: (Database) throws -> Result) throws -> Result {
        try guarded {
            let database = try connected()
            if !(isHeld && wasLookedAt) {
                try look(database)
                wasLookedAt = true
            }
            return try ask(database)
        }
    }

    /// Looks only once, before the first of several reads, whether another process has written.
    package func held<Result>(_ body: () throws -> Result) rethrows -> Result {
        (isHeld, wasLookedAt) = (true, false)
        defer { isHeld = false }
        return try body()
    }

    /// Runs `change` in a transaction; it must be ready to be run again.
    package func write<Result>(_ change: (Database) throws -> Result) throws -> Result {
        try guarded {
            if open != nil && !isOurs() { close() }
            let database = try connected()
            return try database.transaction {
                try look(database)
                return try change(database)
            }
        }
    }

    /// Leaves nothing of what was deleted, neither in free pages nor in the write-ahead log.
    package func purge() throws {
        let isBusy = try guarded {
            let database = try connected()
            try database.run("VACUUM")
            return try database.run("PRAGMA wal_checkpoint(TRUNCATE)").first?.first?.integer ?? 0
        }
        if isBusy != 0 {
            throw KeyboardLMError(
                "\(name): deleted, but traces may stay in the file while another program reads it; try again")
        }
    }

    /// Brings the log into the file, as far as nobody reads it: a keyboard that disappears may be killed.
    package func checkpoint() {
        _ = try? guarded { try connected().run("PRAGMA wal_checkpoint(PASSIVE)") }
    }

    /// Deletes the files that were set aside for being damaged.
    package func removeSetAside() throws {
        guard let path else { return }
        let url = URL(fileURLWithPath: path), folder = url.deletingLastPathComponent()
        do {
            for file in try FileManager.default.contentsOfDirectory(atPath: folder.path)
            where file.hasPrefix(url.lastPathComponent + Self.setAside) {
                try FileManager.default.removeItem(at: folder.appending(path: file))
            }
        } catch {
            throw KeyboardLMError("\(folder.path): damaged files cannot be deleted (\(error.localizedDescription)); delete them")
        }
    }

    private func guarded<Result>(_ act: () throws -> Result) throws -> Result {
        var reason = ""
        for _ in 0..<2 {
            do {
                return try act()
            } catch let error as DatabaseError {
                guard error.isDamage else {
                    throw KeyboardLMError("\(name): \(error); close what else uses it, or make room")
                }
                reason = error.description
            }
            try setAside(reason)
        }
        throw KeyboardLMError("\(name): damaged (\(reason)), and so is the new file; check the disk")
    }

    private func look(_ database: Database) throws {
        let version = try database.run("PRAGMA data_version").first?.first
        if version != dataVersion {
            dataVersion = version
            epoch += 1
        }
    }

    private func connected() throws -> Database {
        if let open { return open }
        if let path { inode = try FileIdentity.makePrivate(path) }
        let database = try Database(path: path, busyTimeoutMs: Self.busyTimeoutMs)
        try prepare(database)
        open = database
        dataVersion = nil
        epoch += 1
        return database
    }

    private func prepare(_ database: Database) throws {
        try database.run("PRAGMA secure_delete = ON")
        try database.run("PRAGMA temp_store = MEMORY")  // nothing personal in a folder of temporary files
        try database.run("PRAGMA cache_size = -256")  // KB: a keyboard is killed for its memory
        let application = try database.run("PRAGMA application_id").first?.first?.integer ?? 0
        let version = try database.run("PRAGMA user_version").first?.first?.integer ?? 0
        let names = Set(try database.run("SELECT name FROM sqlite_master").compactMap { $0.first?.text?.string })
        if !names.isEmpty && names.isDisjoint(with: PersonalFormat.tables) {
            throw KeyboardLMError("\(name): a database of something else; choose another file")
        }
        if !names.isEmpty && application == Self.applicationID && PersonalFormat.newerVersions.contains(version) {
            throw KeyboardLMError(
                "\(name): format \(version) is newer than this program, which reads up to \(PersonalFormat.newestVersion); "
                    + "update the program (the file is as it was)")
        }
        let isKnown = application == Self.applicationID && (1...PersonalFormat.newestVersion).contains(version)
        if !names.isEmpty && !isKnown { throw DatabaseError.damaged("header") }
        try useLog(database)
        try database.run("PRAGMA synchronous = NORMAL")  // a kill loses nothing, a power cut the last words
        if names.isEmpty || version < PersonalFormat.newestVersion {
            try database.transaction {
                try database.run("PRAGMA application_id = \(Self.applicationID)")
                try PersonalFormat.migrate(database)
            }
        }
    }

    // The switch does not wait for other processes as everything else does, so that two that make one file collide.
    private func useLog(_ database: Database) throws {
        let deadline = Turn.seconds() + Double(Self.busyTimeoutMs) / 1000
        while true {
            do {
                try database.run("PRAGMA journal_mode = WAL")
                return
            } catch let error as DatabaseError {
                if error.isDamage || Turn.seconds() > deadline { throw error }
            }
            Thread.sleep(forTimeInterval: 0.01)
        }
    }

    // Whether the file at the path is still the one that is open.
    private func isOurs() -> Bool { path.map { FileIdentity(of: $0) == inode } ?? true }

    private func setAside(_ reason: String) throws {
        let isOurs = self.isOurs()  // or else another process has set it aside already
        close()
        epoch += 1
        guard let path, isOurs else { return }
        let files = FileManager.default
        var number = 1
        while files.fileExists(atPath: "\(path)\(Self.setAside)\(number)") { number += 1 }
        let kept = "\(path)\(Self.setAside)\(number)"
        do {
            for suffix in Self.suffixes where files.fileExists(atPath: path + suffix) {
                try files.moveItem(atPath: path + suffix, toPath: kept + suffix)
            }
        } catch {
            throw KeyboardLMError(
                "\(path): damaged (\(reason)) and cannot be renamed (\(error.localizedDescription)); remove it")
        }
        warn("\(path): damaged (\(reason)); set aside as \(URL(fileURLWithPath: kept).lastPathComponent), learning starts anew")
    }
}

/// Tells one file from another at the same path.
private struct FileIdentity: Equatable {
    private let device: UInt64
    private let number: UInt64

    init?(of path: String) {
        var status = stat()
        guard stat(path, &status) == 0 else { return nil }
        (device, number) = (UInt64(bitPattern: Int64(status.st_dev)), UInt64(status.st_ino))
    }

    // SQLite gives the log and its index the mode of the file, so that none of the three can be read by others. A file that
    // exists is not opened: closing it would drop the locks of every connection that this process has to it.
    static func makePrivate(_ path: String) throws -> FileIdentity? {
        func refuse() -> KeyboardLMError {
            KeyboardLMError("\(path): cannot be opened (\(String(cString: strerror(errno)))); choose another place")
        }
        let folder = URL(fileURLWithPath: path).deletingLastPathComponent().path
        try? FileManager.default.createDirectory(
            atPath: folder, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
        let descriptor = open(path, O_RDWR | O_CREAT | O_EXCL, 0o600)
        if descriptor >= 0 {
            Foundation.close(descriptor)
        } else {
            var isFolder: ObjCBool = false
            let isThere = FileManager.default.fileExists(atPath: path, isDirectory: &isFolder)
            guard errno == EEXIST, isThere, !isFolder.boolValue else { throw refuse() }
        }
        guard chmod(path, 0o600) == 0 else { throw refuse() }
        return FileIdentity(of: path)
    }
}
