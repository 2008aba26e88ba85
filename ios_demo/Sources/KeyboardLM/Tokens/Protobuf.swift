/// Reads the wire format of protocol buffers: fields by number, with nothing known of their meaning.
package struct Protobuf {
    package enum Value {
        case varint(UInt64)
        case fixed32(UInt32)
        case bytes(Range<Int>)
    }

    private let data: [UInt8]
    private var position: Int
    private let end: Int

    package init(_ data: [UInt8], _ range: Range<Int>? = nil) {
        self.data = data
        position = range?.lowerBound ?? 0
        end = range?.upperBound ?? data.count
    }

    /// Returns the next field's number and value, or nil at the end.
    ///
    /// - Throws: `KeyboardLMError` where the bytes are no message.
    package mutating func next() throws -> (field: Int, value: Value)? {
        guard position < end else { return nil }
        let key = try varint()
        let field = Int(key >> 3)
        switch key & 7 {
        case 0: return (field, .varint(try varint()))
        case 1: return (field, .bytes(try take(8)))
        case 2: return (field, .bytes(try take(Int(clamping: varint()))))
        case 5:
            let range = try take(4)
            let bits = range.reversed().reduce(UInt32(0)) { $0 << 8 | UInt32(data[$1]) }
            return (field, .fixed32(bits))
        default: throw KeyboardLMError("not a protocol buffer")
        }
    }

    private mutating func varint() throws -> UInt64 {
        var value: UInt64 = 0
        for shift in stride(from: 0, to: 64, by: 7) {
            guard position < end else { break }
            let byte = data[position]
            position += 1
            value |= UInt64(byte & 0x7F) << UInt64(shift)
            if byte < 0x80 { return value }
        }
        throw KeyboardLMError("not a protocol buffer")
    }

    private mutating func take(_ count: Int) throws -> Range<Int> {
        guard count >= 0, count <= end - position else { throw KeyboardLMError("not a protocol buffer") }
        defer { position += count }
        return position..<position + count
    }
}
