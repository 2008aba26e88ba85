import Foundation

/// The arrays of a `lexicon.bin`, as they lie in the file; `keyboard_lm/export/lexicon_bin.py` has the layout.
///
/// The file is looked at once, when it is opened: whoever reads the arrays afterwards need not look at their bounds. All of
/// Apple's and Swift's processors are little-endian, as the file is.
struct LexiconFile {
    let numLetters, numNodes, numEntries, numCased: Int
    /// Values of the letter model; 0 where the file has none.
    let numLogs: Int
    let alphabet: UnsafePointer<UInt32>
    let firstChild: UnsafePointer<UInt32>
    let firstEntry: UnsafePointer<UInt32>
    let logs: UnsafePointer<Float>
    let casedEntries: UnsafePointer<UInt32>
    let capitals: UnsafePointer<UInt64>
    let letters: UnsafePointer<UInt8>
    let bestFrequency: UnsafePointer<UInt8>
    let frequencies: UnsafePointer<UInt8>
    let flags: UnsafePointer<UInt8>
    private let data: MappedFile  // keeps the arrays

    static let format: UInt32 = 1
    static let magic = Array("KLMLEXIC".utf8)
    static let alignment = 64
    static let mostLetters = 254

    /// - Throws: `KeyboardLMError` where the bytes are no such file, of another format, or not as they were written.
    init(_ data: MappedFile, name: String) throws {
        let damaged = KeyboardLMError("\(name): damaged, or no lexicon of this package's; export the model again")
        let length = data.count, start = data.bytes
        guard length >= Self.alignment, length % Self.alignment == 0,
            Self.magic.indices.allSatisfy({ start.load(fromByteOffset: $0, as: UInt8.self) == Self.magic[$0] })
        else { throw damaged }
        func number(_ offset: Int) -> Int { Int(start.load(fromByteOffset: offset, as: UInt32.self)) }
        guard number(8) == Self.format else {
            throw KeyboardLMError(
                "\(name): a lexicon of format \(number(8)), but this app reads \(Self.format); export the model again")
        }
        let counts = (12..<32).filter { $0 % 4 == 0 }.map(number)
        (numLetters, numNodes, numEntries) = (counts[0], counts[1], counts[2])
        (numCased, numLogs) = (counts[3], counts[4])
        guard numLetters <= Self.mostLetters else { throw damaged }
        let cube = (numLetters + 2) * (numLetters + 2) * (numLetters + 2)
        guard numNodes >= 1, numCased <= numEntries, numLogs == 0 || numLogs == cube,
            start.load(fromByteOffset: 48, as: UInt64.self) == UInt64(length)
        else { throw damaged }
        let sizes = [
            4 * numLetters, 4 * (numNodes + 1), 4 * (numNodes + 1), 4 * numLogs, 4 * numCased, 8 * numCased, numNodes, numNodes,
            numEntries, numEntries,
        ]
        var offsets = [Self.alignment]
        for size in sizes { offsets.append(offsets[offsets.count - 1] + Self.padded(size)) }
        guard offsets[sizes.count] == length, Self.sums(start, length) == Self.written(start) else { throw damaged }
        func array<Value>(_ place: Int, of type: Value.Type) -> UnsafePointer<Value> {
            (start + offsets[place]).assumingMemoryBound(to: type)
        }
        alphabet = array(0, of: UInt32.self)
        firstChild = array(1, of: UInt32.self)
        firstEntry = array(2, of: UInt32.self)
        logs = array(3, of: Float.self)
        casedEntries = array(4, of: UInt32.self)
        capitals = array(5, of: UInt64.self)
        letters = array(6, of: UInt8.self)
        bestFrequency = array(7, of: UInt8.self)
        frequencies = array(8, of: UInt8.self)
        flags = array(9, of: UInt8.self)
        self.data = data
        guard isTree else { throw damaged }
    }

    // What the sums of an intact file cannot tell: whether its writer made a tree.
    private var isTree: Bool {
        let (firstChild, firstEntry, letters, most) = (firstChild, firstEntry, letters, UInt8(numLetters))
        var numWrong = firstChild[0] == 1 && Int(firstChild[numNodes]) == numNodes && letters[0] == 0 ? 0 : 1
        numWrong += firstEntry[0] == 0 && Int(firstEntry[numNodes]) == numEntries ? 0 : 1
        for node in 0..<numNodes {
            let isChildBehind = UInt32(truncatingIfNeeded: node) < firstChild[node]
            numWrong += isChildBehind && firstChild[node] <= firstChild[node + 1] ? 0 : 1
            numWrong += firstEntry[node] <= firstEntry[node + 1] ? 0 : 1
        }
        for node in 1..<max(numNodes, 1) { numWrong += letters[node] &- 1 < most ? 0 : 1 }
        for place in 0..<numCased {
            numWrong += casedEntries[place] < numEntries && (place == 0 || casedEntries[place - 1] < casedEntries[place]) ? 0 : 1
        }
        for place in 0..<numLetters { numWrong += Unicode.Scalar(alphabet[place]) != nil ? 0 : 1 }
        return numWrong == 0
    }

    static func padded(_ size: Int) -> Int { (size + alignment - 1) / alignment * alignment }

    /// The sum of all 8-byte words but the two that hold the sums, and the sum of the same, each times its place plus 1.
    static func sums(_ start: UnsafeRawPointer, _ length: Int) -> [UInt64] {
        var total: UInt64 = 0, weighted: UInt64 = 0
        let words = start.assumingMemoryBound(to: UInt64.self)
        for place in 0..<length / 8 {
            total &+= words[place]
            weighted &+= words[place] &* UInt64(place + 1)
        }
        let kept = written(start)
        return [total &- kept[0] &- kept[1], weighted &- kept[0] &* 5 &- kept[1] &* 6]
    }

    private static func written(_ start: UnsafeRawPointer) -> [UInt64] {
        [start.load(fromByteOffset: 32, as: UInt64.self), start.load(fromByteOffset: 40, as: UInt64.self)]
    }
}
