import Foundation
import KeyboardLM

/// JSON objects from standard input, one a line.
struct ObjectLines {
    private let what: String
    private var number = 0

    /// - Parameter what: what a line is, for whoever sent something else.
    init(_ what: String) { self.what = what }

    /// The next line's object; nil at the end.
    ///
    /// - Throws: `KeyboardLMError` for a line that is none.
    mutating func next() throws -> [String: Any]? {
        guard let line = readLine() else { return nil }
        number += 1
        guard let object = (try? JSONSerialization.jsonObject(with: Data(line.utf8))) as? [String: Any] else {
            throw KeyboardLMError("line \(number) of the input is no JSON object; a line is \(what)")
        }
        return object
    }

    /// Does something with the line that was read last; what is wrong with it says which line that was.
    func named<Result>(_ use: () throws -> Result) throws -> Result {
        do { return try use() } catch let error as Usage { throw error } catch {
            throw KeyboardLMError("line \(number) of the input: \(error)")
        }
    }
}

/// A value of JSON's types on one line.
func jsonLine(_ value: Any) throws -> String {
    guard JSONSerialization.isValidJSONObject(value) else { throw KeyboardLMError("the answer holds what JSON has no word for") }
    return String(decoding: try JSONSerialization.data(withJSONObject: value, options: [.sortedKeys]), as: UTF8.self)
}
