import Foundation
import KeyboardLM

/// What `keyboard-lm-swift` was asked for.
struct Arguments {
    var command = ""
    var words: [String] = []
    var options: [String: String] = [:]

    init(_ arguments: [String]) throws {
        var rest = arguments.dropFirst()
        command = rest.popFirst() ?? "--help"
        while let argument = rest.popFirst() {
            switch argument {
            case "--json", "--alone", "--dark": options[argument.drop { $0 == "-" }.description] = "true"
            case "-n", "--keys", "--model", "--words", "--emoji", "--learned", "--device", "--layout", "--threads",
                "--precision":
                guard let value = rest.popFirst() else { throw Usage("\(argument) needs a value") }
                options[argument.drop { $0 == "-" }.description] = value
            case _ where argument.hasPrefix("--") && argument != "--help":
                throw Usage("no option \(argument); see keyboard-lm-swift --help")
            default: words.append(argument)
            }
        }
    }

    func number(_ name: String, or value: Int, atMost most: Int = 64) throws -> Int {
        guard let text = options[name] else { return value }
        guard let number = Int(text), (1...most).contains(number) else { throw Usage("\(name) is a number from 1 to \(most)") }
        return number
    }

    /// Where the files are: words and emoji beside the model, unless something else is said.
    var files: KeyboardFiles {
        func url(_ name: String) -> URL? { options[name].map { URL(fileURLWithPath: $0) } }
        return KeyboardFiles(model: url("model") ?? URL(fileURLWithPath: "Model"), words: url("words"), emoji: url("emoji"))
    }

    func precision() throws -> Precision {
        guard let name = options["precision"] else { return .half }
        guard let precision = Precision(rawValue: name) else { throw Usage("--precision is half or rounded") }
        return precision
    }

    func session() throws -> SessionOptions {
        var session = SessionOptions()
        session.device = options["device"] ?? session.device
        session.layout = options["layout"] ?? session.layout
        session.personal = options["learned"]
        session.numSlots = try number("n", or: session.numSlots)
        session.numThreads = try number("threads", or: session.numThreads)
        session.precision = try precision()
        return session
    }
}

struct Usage: Error {
    let message: String
    init(_ message: String) { self.message = message }
}

let help = """
    keyboard-lm-swift suggest TEXT [-n COUNT] [--json] [--learned FILE] [--device NAME] [--layout NAME] [FILES]
        the suggestion bar for a text, as a phone would show it; --alone: by the model alone
    keyboard-lm-swift picture [TEXT] [--dark] [--layout NAME] [FILES]
        the keyboard behind a text as an SVG picture, drawn as the extension draws it
    keyboard-lm-swift learned list | forget WORD | export | import ARCHIVE | clear --learned FILE
        what was learned into a personal file; an archive is what export prints, here or in Python
    keyboard-lm-swift replay [--learned FILE] [FILES]
        sessions as JSON lines in, what becomes of each step as JSON lines out (see tests/ios/differential.py)
    keyboard-lm-swift bench [FILES]
        what each key of messages takes (see tests/benchmarks/swift_keystrokes.py)
    keyboard-lm-swift soak [--keys COUNT] [--learned FILE] [FILES]
        types the messages of standard input, one a line, over and over, and tells the memory (tests/benchmarks/swift_memory.py)
    keyboard-lm-swift check [FILES]
        the report of the app's page "Check this phone", as far as this machine has what it asks about
    keyboard-lm-swift answer [FILES]
        answers questions about single laws of the engine, one JSON object a line (see tests/ios)

    FILES: --model FOLDER with the network and its tokenizer, --words FOLDER with pack.json and lexicon.bin (the same if not
    said), --emoji FILE; --threads COUNT; --precision half, or rounded: weights of 8 bits, several times as fast
    """

func run() throws {
    let arguments = try Arguments(CommandLine.arguments)
    switch arguments.command {
    case "suggest":
        let text = arguments.words.joined(separator: " ")
        try arguments.options["alone"] == nil ? suggest(text, arguments) : suggestAlone(text, arguments)
    case "picture": print(try picture(arguments.words.joined(separator: " "), arguments), terminator: "")
    case "learned": try learned(arguments)
    case "replay":
        var replay = try Replay(arguments.files, options: arguments.session())
        try replay.run()
    case "bench": try Bench(arguments.files, options: arguments.session()).run()
    case "answer":
        var laws = try Laws(folder: arguments.files.model, precision: arguments.precision())
        try laws.answer()
    case "soak":
        let numKeys = try arguments.number("keys", or: 200_000, atMost: 1_000_000_000)
        try Soak(arguments.files, options: arguments.session(), numKeys: numKeys).run()
    case "check":
        let report = PhoneCheck.run(arguments.files)
        print(report.json)
        if let problem = report.problems.first { throw KeyboardLMError(problem) }
    case "--help", "-h": print(help)
    default: throw Usage("no command \(arguments.command); see keyboard-lm-swift --help")
    }
}

func suggest(_ text: String, _ arguments: Arguments) throws {
    let begun = ContinuousClock.now
    let session = try KeyboardEngine(arguments.files, options: arguments.session()).session()
    let loaded = begun.duration(to: .now)
    session.apply(.fieldStarted(CodePoints(text)))
    let answer = session.suggest()
    let loadMs = Double(loaded.components.seconds) * 1000 + Double(loaded.components.attoseconds) * 1e-15
    if arguments.options["json"] != nil {
        print(try jsonLine(["text": text, "load_ms": loadMs].merging(answer.asJSON) { $1 }))
    } else {
        let slots = answer.slots.map { slot in
            switch slot.kind {
            case .literal, .emoji: slot.written
            default:
                "\(slot.text)\(answer.correction?.text == slot.text ? "*" : "") \(String(format: "%.1f%%", 100 * slot.probability))"
            }
        }
        print(slots.isEmpty ? "(no word)" : slots.joined(separator: "  |  "))
        if let ghost = answer.ghost { print(String(format: "  ahead: %@ %.1f%%", ghost.text.string, 100 * ghost.probability)) }
        print(
            String(
                format: "  %.1f ms here after %.0f to load; %d model calls: %.1f ms on the device (estimate), %@", answer.hostMs,
                loadMs, answer.numModelCalls, answer.deviceMs, answer.stage.rawValue))
    }
    for warning in session.warnings { FileHandle.standardError.write(Data("warning: \(warning)\n".utf8)) }
}

func picture(_ text: String, _ arguments: Arguments) throws -> String {
    let options = try arguments.session(), engine = try KeyboardEngine(arguments.files, options: options)
    let session = try engine.session()
    session.apply(.fieldStarted(CodePoints(text)))
    let answer = session.suggest()
    return KeyboardPicture(
        KeyGeometry(engine.parts.layout), shift: session.shift, words: answer.slots.map(\.written),
        ahead: answer.ghost?.text.string, isDark: arguments.options["dark"] != nil
    ).svg
}

func learned(_ arguments: Arguments) throws {
    guard let path = arguments.options["learned"] else { throw Usage("learned needs --learned FILE") }
    guard FileManager.default.fileExists(atPath: path) || arguments.words.first == "import" else {
        throw KeyboardLMError("\(path): no such file; nothing was learned there")
    }
    let words = try LearnedWords(path: path)
    defer { words.close() }
    let rest = Array(arguments.words.dropFirst())
    switch (arguments.words.first, rest.count) {
    case ("list", 0):
        for word in words.words { print(word) }
    case ("forget", 1):
        guard try words.forget(rest[0]) else { throw KeyboardLMError("\(rest[0]): not learned") }
    case ("export", 0): print(try words.archive(), terminator: "")
    case ("import", 1):
        guard let archive = try? String(contentsOfFile: rest[0], encoding: .utf8) else {
            throw KeyboardLMError("\(rest[0]): cannot be read; name what export has written")
        }
        try words.add(archive)
    case ("clear", 0): try words.clear()
    default: throw Usage("learned list | forget WORD | export | import ARCHIVE | clear; see keyboard-lm-swift --help")
    }
    for warning in words.warnings { FileHandle.standardError.write(Data("warning: \(warning)\n".utf8)) }
}

func suggestAlone(_ text: String, _ arguments: Arguments) throws {
    let options = try arguments.session()
    let predictor = try Predictor(folder: arguments.files.model, numSuggestions: options.numSlots, threads: options.numThreads)
    let found = try predictor.suggest(text)
    if arguments.options["json"] != nil {
        print(try jsonLine(found.map { ["text": $0.text, "probability": $0.probability] as [String: Any] }))
    } else {
        print(found.map { String(format: "%@ %.1f%%", $0.text, 100 * $0.probability) }.joined(separator: "  |  "))
    }
}

extension Answer {
    var asJSON: [String: Any] {
        [
            "slots": slots.map {
                ["text": $0.text.string, "kind": $0.kind.rawValue, "probability": $0.probability, "replaced": $0.replaced.string]
            } as [[String: Any]],
            "correction": correction.map { ["replaced": $0.replaced.string, "text": $0.text.string] } as Any? ?? NSNull(),
            "ghost": ghost.map { ["text": $0.text.string, "probability": $0.probability] as [String: Any] } as Any? ?? NSNull(),
            "stage": stage.rawValue, "num_model_calls": numModelCalls, "device_ms": deviceMs, "host_ms": hostMs,
        ]
    }
}

do {
    try run()
} catch let error as Usage {
    FileHandle.standardError.write(Data("error: \(error.message)\n".utf8))
    exit(2)
} catch {
    FileHandle.standardError.write(Data("error: \(error)\n".utf8))
    exit(1)
}
