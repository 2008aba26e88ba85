import Foundation

/// The bytes of a file as they lie on the disk: clean pages, which the system may drop and read again.
///
/// `Data`'s option `alwaysMapped` copies the file on Linux.
package final class MappedFile {
    package let bytes: UnsafeRawPointer
    package let count: Int
    private let isMapped: Bool

    /// - Throws: `KeyboardLMError` where the file cannot be read or is empty.
    package init(_ file: URL) throws {
        func failed() -> KeyboardLMError {
            let reason = errno == 0 ? "empty" : String(cString: strerror(errno))
            return KeyboardLMError("\(file.path): cannot be read (\(reason)); export the model again")
        }
        errno = 0
        let descriptor = open(file.path, O_RDONLY)
        guard descriptor >= 0 else { throw failed() }
        defer { close(descriptor) }
        var status = stat()
        guard fstat(descriptor, &status) == 0, status.st_size > 0 else { throw failed() }
        count = Int(status.st_size)
        guard let found = mmap(nil, count, PROT_READ, MAP_PRIVATE, descriptor, 0), found != MAP_FAILED else { throw failed() }
        bytes = UnsafeRawPointer(found)
        isMapped = true
    }

    /// Bytes in memory, for tests and for files that are made where they are used.
    package init(copying content: [UInt8]) {
        let copy = UnsafeMutableRawPointer.allocate(byteCount: max(content.count, 1), alignment: Self.alignment)
        content.withUnsafeBytes { copy.copyMemory(from: $0.baseAddress ?? UnsafeRawPointer(copy), byteCount: content.count) }
        (bytes, count, isMapped) = (UnsafeRawPointer(copy), content.count, false)
    }

    deinit {
        if isMapped {
            munmap(UnsafeMutableRawPointer(mutating: bytes), count)
        } else {
            bytes.deallocate()
        }
    }

    private static let alignment = 64
}
