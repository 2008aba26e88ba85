import Foundation

/// Reads JSON that may be damaged.
enum JSONFile {
    /// - Throws: `KeyboardLMError` where the file cannot be read, is no JSON, or of another shape; `hint` says what it is not.
    static func read<Value: Decodable>(_ type: Value.Type, from file: URL, hint: String) throws -> Value {
        let wrong = KeyboardLMError("\(file.path): \(hint); export the model again")
        // Foundation's decoder (Swift 6.0 on Linux) traps on a key that is no JSON string; the other reader says so.
        guard let data = try? Data(contentsOf: file), (try? JSONSerialization.jsonObject(with: data)) != nil,
            let value = try? JSONDecoder().decode(type, from: data)
        else { throw wrong }
        return value
    }
}
