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
            case "--json", "--alone": options[argument.drop { $0 == "-" }.description] = "true"
            case "-n", "--model", "--words", "--emoji", "--learned", "--device", "--layout", "--threads":
                guard let value = rest.popFirst() else { throw Usage("\(argument) needs a value") }
                options[argument.drop { $0 == "-" }.description] = value
            case _ where argument.hasPrefix("--") && argument != "--help":
                throw Usage("no option \(argument); see keyboard-lm-swift --help")
            default: words.append(argument)
            }
        }
    }

    func number(_ name: String, or value: Int) throws -> Int {
        guard let text = options[name] else { return value }
        guard let number = Int(text), (1...64).contains(number) else { throw Usage("\(name) is a number from 1 to 64") }
        return number
    }

    /// Where the files are: words and emoji beside the model, unless something else is said.
    var files: KeyboardFiles {
        func url(_ name: String) -> URL? { options[name].map { URL(fileURLWithPath: $0) } }
        return KeyboardFiles(model: url("model") ?? URL(fileURLWithPath: "Model"), words: url("words"), emoji: url("emoji"))
    }

    func session() throws -> SessionOptions {
        var session = SessionOptions()
        session.device = options["device"] ?? session.device
        session.layout = options["layout"] ?? session.layout
        session.personal = options["learned"]
        session.numSlots = try number("n", or: session.numSlots)
        session.numThreads = try number("threads", or: session.numThreads)
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
    keyboard-lm-swift replay [--learned FILE] [FILES]
        sessions as JSON lines in, what becomes of each step as JSON lines out (see tests/ios/differential.py)
    keyboard-lm-swift bench [FILES]
        what each key of messages takes (see tests/benchmarks/swift_keystrokes.py)
    keyboard-lm-swift check [FILES]
        the report of the app's page "Check this phone", as far as this machine has what it asks about
    keyboard-lm-swift answer [FILES]
        answers questions about single laws of the engine, one JSON object a line (see tests/ios)

    FILES: --model FOLDER with the network and its tokenizer, --words FOLDER with pack.json and lexicon.bin (the same if not
    said), --emoji FILE; --threads COUNT
    """

func run() throws {
    let arguments = try Arguments(CommandLine.arguments)
    switch arguments.command {
    case "suggest":
        let text = arguments.words.joined(separator: " ")
        try arguments.options["alone"] == nil ? suggest(text, arguments) : suggestAlone(text, arguments)
    case "replay":
        var replay = try Replay(arguments.files, options: arguments.session())
        try replay.run()
    case "bench": try Bench(arguments.files, options: arguments.session()).run()
    case "answer":
        var laws = try Laws(folder: arguments.files.model)
        try laws.answer()
    case "check": print(PhoneCheck.run(arguments.files).json)
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
            case .literal: "\u{201C}\(slot.text)\u{201D}"
            case .emoji: slot.text.string
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
