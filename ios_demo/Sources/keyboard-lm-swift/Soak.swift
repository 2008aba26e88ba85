import Foundation
import KeyboardLM

/// Types on and on and says what that does to the process's memory.
///
/// Messages are lines of standard input, typed over and over, each in a field of its own: letter by letter with the bar behind
/// each key, a wrong letter that is taken back now and then, a word of the bar accepted now and then; everything is learned. A
/// JSON line for every so many keys.
struct Soak {
    private let session: Session
    private let numKeys: Int
    private let every: Int

    /// - Parameters:
    ///   - numKeys: to be typed.
    ///   - every: keys between two reports.
    init(_ files: KeyboardFiles, options: SessionOptions, numKeys: Int, every: Int = 10_000) throws {
        session = try KeyboardEngine(files, options: options).session()
        (self.numKeys, self.every) = (numKeys, every)
    }

    func run() throws {
        var messages: [CodePoints] = []
        while let line = readLine() { if !line.isEmpty { messages.append(CodePoints(line)) } }
        guard !messages.isEmpty else { throw KeyboardLMError("there is nothing to type; give messages, one a line, on standard input") }
        var numTyped = 0
        while true {
            for message in messages {
                session.apply(.fieldStarted())
                for char in message.values {
                    numTyped += 1
                    session.apply(.typed(CodePoints([char])))
                    let answer = session.suggest()
                    if numTyped % 40 == 0 {
                        session.apply(.typed("q"))
                        session.apply(.backspaced)
                    }
                    if numTyped % 60 == 0, let slot = answer.slots.last {
                        session.apply(.slotAccepted(slot.text, replaced: slot.replaced))
                    }
                    guard numTyped % every == 0 else { continue }
                    print(try jsonLine(processMemoryKB().merging(["keys": numTyped]) { $1 }))
                    fflush(nil)
                    if numTyped >= numKeys { return session.close() }
                }
            }
        }
    }
}

/// Resident and dirty memory in KB, as Linux tells it; nothing elsewhere.
func processMemoryKB() -> [String: Int] {
    let lines = (try? String(contentsOfFile: "/proc/self/status", encoding: .utf8))?.split(separator: "\n") ?? []
    var found: [String: Int] = [:]
    for line in lines where line.hasPrefix("VmRSS") || line.hasPrefix("RssAnon") {
        let words = line.split(whereSeparator: { $0 == ":" || $0 == " " || $0 == "\t" })
        found[String(words[0])] = Int(words[1])
    }
    return found
}
