import Foundation

/// Where the files of a keyboard are.
public struct KeyboardFiles: Sendable {
    /// A folder with `config.json`, `tokenizer.model`, `proper_nouns.txt` and `model.safetensors`.
    public var model: URL
    /// A folder with `pack.json`, `lexicon.bin` and `emoji.tsv`.
    public var words: URL
    /// The `emoji.tsv`, where it lies elsewhere.
    public var emoji: URL?

    public init(model: URL, words: URL? = nil, emoji: URL? = nil) {
        (self.model, self.words, self.emoji) = (model, words ?? model, emoji)
    }
}

/// What opens a keyboard.
public struct SessionOptions: Sendable {
    public var layout = "qwerty"
    /// Whose time is estimated, and kept within `budgetMs`.
    public var device = "iphone-15"
    public var budgetMs = CallCost.budgetMs
    public var numSlots = 3
    /// The file of what is learned; nil keeps it in memory.
    public var personal: String?
    public var numThreads = 2
    /// Of the network on the processor.
    public var precision = Precision.half
    /// Of the app: another one gives a network another chance that may have killed the process.
    public var version = ""

    public init() {}
}

/// Tokenizer, words and tables of one process, opened once for one keyboard after another; to be used from one thread.
public final class KeyboardEngine {
    package let parts: SuggesterParts
    package let pack: Pack
    private let files: KeyboardFiles
    private let options: SessionOptions
    private var backend: (any Backend)?

    /// - Throws: `KeyboardLMError` where a file is missing or damaged, or there is no such layout or device.
    public init(_ files: KeyboardFiles, options: SessionOptions = SessionOptions()) throws {
        (self.files, self.options) = (files, options)
        let pack = try Pack(file: files.words.appending(path: Language.packFile))
        self.pack = pack
        guard let layout = pack.layouts[options.layout] else {
            throw KeyboardLMError("no layout '\(options.layout)'; choose one of: \(pack.layouts.keys.sorted().joined(separator: ", "))")
        }
        let language =
            try files.emoji.map { file in
                // One that is named has to be there; beside the words it may be missing.
                guard FileManager.default.isReadableFile(atPath: file.path) else {
                    throw KeyboardLMError("\(file.path): no file of emoji to be read; name an emoji.tsv, or none")
                }
                let lexicon = try Lexicon(file: files.words.appending(path: Language.lexiconFile))
                return Language(pack, lexicon: lexicon, emoji: EmojiIndex(file: file))
            } ?? Language(pack, folder: files.words)
        var how = SuggesterOptions()
        how.numSlots = options.numSlots
        parts = SuggesterParts(try Tokenizer(folder: files.model), language, layout, options: how)
    }

    /// What calls of the network cost on a device of the pack.
    package func cost(_ device: String) throws -> CallCost {
        guard let times = pack.devices[device] else {
            throw KeyboardLMError("no device '\(device)'; choose one of: \(pack.devices.keys.sorted().joined(separator: ", "))")
        }
        return CallCost(overheadMs: times.overhead, readMs: times.read, tokenMs: times.token)
    }

    /// Opens a keyboard over the network of the files.
    public func session() throws -> Session {
        let backend = try self.backend ?? CPUBackend(checking: files.model, threads: options.numThreads, precision: options.precision)
        self.backend = backend
        let store = try PersonalStore(path: options.personal, knows: parts.language.lexicon.isKnown)
        return try session(backend, store)
    }

    /// Opens a keyboard over another network, or a store that is open already.
    package func session(_ backend: any Backend, _ store: PersonalStore, device: String? = nil, budgetMs: Double? = nil) throws -> Session {
        Session(
            try Suggester(backend, parts, personal: store), store, cost: try cost(device ?? options.device),
            budgetMs: budgetMs ?? options.budgetMs, editor: pack.editor)
    }
}
