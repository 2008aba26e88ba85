import Foundation

/// A safetensors file, mapped: eight bytes of length, a JSON header, and the values as they lie.
package final class Safetensors {
    package struct Tensor {
        package let shape: [Int]
        package let values: UnsafeRawPointer
        package var count: Int { shape.reduce(1, *) }
    }

    private let data: MappedFile
    private let tensors: [String: Tensor]

    private struct Entry: Decodable {
        let dtype: String
        let shape: [Int]
        let data_offsets: [Int]
    }

    /// - Throws: `KeyboardLMError` where the file is missing or damaged, or its values are not fp16.
    package init(file: URL) throws {
        let damaged = KeyboardLMError("\(file.path): damaged; export the model again")
        data = try MappedFile(file)
        guard data.count > 8 else { throw damaged }
        let size = data.bytes.loadUnaligned(as: UInt64.self).littleEndian
        guard size <= UInt64(data.count - 8) else { throw damaged }
        let header = Data(bytes: data.bytes + 8, count: Int(size))
        let body = data.count - 8 - Int(size)
        guard let object = try? JSONSerialization.jsonObject(with: header) as? [String: Any] else { throw damaged }
        var found: [String: Tensor] = [:]
        for (name, value) in object where name != "__metadata__" {
            guard let fields = value as? [String: Any], let kind = fields["dtype"] as? String,
                let shape = fields["shape"] as? [Int], let offsets = fields["data_offsets"] as? [Int], offsets.count == 2,
                shape.allSatisfy({ (0...1 << 24).contains($0) }), shape.count <= 2
            else { throw damaged }
            guard kind == "F16" else { throw KeyboardLMError("\(file.path): \(name) is \(kind); this package reads F16") }
            let count = shape.reduce(1, *)
            guard offsets[0] >= 0, offsets[0] <= offsets[1], offsets[1] <= body, offsets[1] - offsets[0] == 2 * count
            else { throw damaged }
            found[name] = Tensor(shape: shape, values: data.bytes + 8 + Int(size) + offsets[0])
        }
        tensors = found
    }

    /// - Throws: `KeyboardLMError` where there is no such tensor, or of another shape.
    package func tensor(_ name: String, _ shape: [Int]) throws -> Tensor {
        guard let tensor = tensors[name] else { throw KeyboardLMError("the weights have no \(name); export the model again") }
        guard tensor.shape == shape else {
            throw KeyboardLMError("the weights' \(name) is \(tensor.shape), not \(shape); export the model again")
        }
        return tensor
    }

    package func shape(_ name: String) throws -> [Int] {
        guard let tensor = tensors[name] else { throw KeyboardLMError("the weights have no \(name); export the model again") }
        return tensor.shape
    }
}
