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
            case "--json": options["json"] = "true"
            case "-n", "--model", "--threads":
                guard let value = rest.popFirst() else { throw Usage("\(argument) needs a value") }
                options[argument.drop { $0 == "-" }.description] = value
            default: words.append(argument)
            }
        }
    }

    func number(_ name: String, or value: Int) throws -> Int {
        guard let text = options[name] else { return value }
        guard let number = Int(text), (1...64).contains(number) else { throw Usage("\(name) is a number from 1 to 64") }
        return number
    }
}

struct Usage: Error {
    let message: String
    init(_ message: String) { self.message = message }
}

let help = """
    keyboard-lm-swift suggest TEXT [--model FOLDER] [-n COUNT] [--json] [--threads COUNT]
        the bar after a text, by the model alone
    keyboard-lm-swift answer [--model FOLDER]
        answers questions about single laws of the engine, one JSON object a line (see tests/ios)
    """

func run() throws {
    let arguments = try Arguments(CommandLine.arguments)
    let folder = URL(fileURLWithPath: arguments.options["model"] ?? "Model")
    switch arguments.command {
    case "suggest":
        let predictor = try Predictor(
            folder: folder, numSuggestions: arguments.number("n", or: 3), threads: arguments.number("threads", or: 2))
        let found = try predictor.suggest(arguments.words.joined(separator: " "))
        if arguments.options["json"] != nil {
            let slots = found.map { ["text": $0.text, "probability": $0.probability] as [String: Any] }
            print(String(decoding: try JSONSerialization.data(withJSONObject: slots, options: [.sortedKeys]), as: UTF8.self))
        } else {
            print(found.map { String(format: "%@ %.1f%%", $0.text, 100 * $0.probability) }.joined(separator: "  |  "))
        }
    case "answer":
        var laws = try Laws(folder: folder)
        try laws.answer()
    case "--help", "-h": print(help)
    default: throw Usage("no command \(arguments.command); see keyboard-lm-swift --help")
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
