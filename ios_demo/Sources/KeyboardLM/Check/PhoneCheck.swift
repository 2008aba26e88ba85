import Foundation

/// What one machine says about the engine's files and networks, to be shared as one JSON report.
///
/// It asks what only a device can tell: whether Core ML computes what the processor does, what each takes, whether one state lasts,
/// and what memory it costs. Nothing that was typed or learned is in it.
public struct PhoneReport: Codable, Sendable {
    public struct Timing: Codable, Sendable {
        public var function: String
        /// The first call; with Core ML it loads, and may compile.
        public var firstMs: Double
        public var p50Ms: Double
        public var p95Ms: Double
    }

    public struct Agreement: Codable, Sendable {
        /// The largest difference of a logit, over the deviation of the processor's logits.
        public var error: Double
        /// Share of places with the same most probable piece.
        public var sameTop: Double
    }

    public struct Endurance: Codable, Sendable {
        public var numCalls: Int
        /// Every 500 calls.
        public var footprintsMB: [Double]
        /// Why it ended early; nil where it did not.
        public var problem: String?
    }

    public var system = ""
    /// Sizes in bytes; -1 for what is missing.
    public var files: [String: Int] = [:]
    public var loadMs = 0.0
    /// What the process has been charged for in memory: at the start, with words and network, at the end.
    public var footprintsMB: [Double] = []
    public var processor: [Timing] = []
    public var coreML: [Timing] = []
    /// Of each function of the package, how many operations are to run on which device.
    public var devices: [String: [String: Int]] = [:]
    public var agreement: Agreement?
    public var endurance: Endurance?
    public var bar: [String] = []
    public var barMs = 0.0
    /// What is wrong, a line each.
    public var problems: [String] = []
    /// What was not asked, and why.
    public var notes: [String] = []

    public var json: String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys]
        return (try? encoder.encode(self)).map { String(decoding: $0, as: UTF8.self) } ?? "{}"
    }
}

/// Runs the checks, one after another; to be run off the main thread.
public enum PhoneCheck {
    /// - Parameters:
    ///   - numCalls: timed calls of each function.
    ///   - numEndured: calls on one state, with rewinds.
    public static func run(_ files: KeyboardFiles, numCalls: Int = 200, numEndured: Int = 5000) -> PhoneReport {
        var report = PhoneReport()
        report.system = ProcessInfo.processInfo.operatingSystemVersionString
        report.footprintsMB = [footprintMB()]
        for (folder, names) in [
            (files.model, ["config.json", "tokenizer.model", "proper_nouns.txt", "model.safetensors", "checkpoint.json", "manifest.json"]),
            (files.words, [Language.packFile, Language.lexiconFile]),
        ] {
            for name in names {
                let values = try? folder.appending(path: name).resourceValues(forKeys: [.fileSizeKey])
                report.files[name] = values?.fileSize ?? -1
            }
        }
        do {
            try ModelIndex(folder: files.model).check(reads: true)
            let begun = Turn.seconds()
            let processor = try CPUBackend(checking: files.model)
            let session = try KeyboardEngine(files).session()
            report.loadMs = 1000 * (Turn.seconds() - begun)
            report.footprintsMB.append(footprintMB())
            session.apply(.fieldStarted("I am going"))
            let answer = session.suggest()
            (report.bar, report.barMs) = (answer.slots.map(\.text.string), answer.hostMs)
            report.processor = try timings(processor, numCalls)
            try checkPackage(files.model, processor, numCalls, numEndured, &report)
        } catch {
            report.problems.append("\(error)")
        }
        report.footprintsMB.append(footprintMB())
        return report
    }

    private static let shapes = [
        ("prefill32", 32, false), ("decode", 1, false), ("tree8", 8, true), ("tree16", 16, true),
    ]

    // Calls of each kind behind a context of 24 pieces, which is cut back after each.
    private static func timings(_ backend: any Backend, _ numCalls: Int) throws -> [PhoneReport.Timing] {
        try shapes.map { name, numTokens, isTree in
            var taken: [Double] = []
            let context = ids(24, seed: 3)
            for call in 0..<max(numCalls, 2) {
                if name.hasPrefix("prefill") {
                    backend.rewind(0)
                } else if backend.length != context.count {
                    if backend.length > context.count { backend.rewind(context.count) } else { _ = try backend.prefill(context) }
                }
                let given = ids(numTokens, seed: call), begun = Turn.seconds()
                if isTree {
                    _ = try backend.scoreTree(given, parents: given.indices.map { ($0 - 1) / 2 - ($0 == 0 ? 1 : 0) })
                } else {
                    _ = name == "decode" ? try backend.decode(given) : try backend.prefill(given)
                }
                taken.append(1000 * (Turn.seconds() - begun))
            }
            let sorted = taken.dropFirst().sorted()
            return PhoneReport.Timing(
                function: name, firstMs: taken[0], p50Ms: sorted[sorted.count / 2], p95Ms: sorted[sorted.count * 95 / 100])
        }
    }

    /// How far a network's logits are from another's, over contexts and trees.
    package static func agreement(_ backend: any Backend, _ reference: any Backend, numContexts: Int = 40) throws -> PhoneReport.Agreement {
        var error = 0.0, same = 0, num = 0
        for seed in 0..<numContexts {
            let context = ids(1 + seed % 30, seed: seed), tree = ids(8, seed: seed + 1000)
            let parents = tree.indices.map { $0 < 3 ? -1 : $0 - 3 }
            let given = [try backend.prefill(context)] + (try backend.scoreTree(tree, parents: parents))
            let wanted = [try reference.prefill(context)] + (try reference.scoreTree(tree, parents: parents))
            for (one, other) in zip(given, wanted) {
                let mean = other.reduce(0.0) { $0 + Double($1) } / Double(other.count)
                let variance = other.reduce(0.0) { $0 + (Double($1) - mean) * (Double($1) - mean) } / Double(other.count)
                let largest = zip(one, other).map { abs(Double($0) - Double($1)) }.max() ?? 0
                error = max(error, largest / max(variance.squareRoot(), 1e-9))
                func top(_ logits: [Float]) -> Int? { logits.indices.max { logits[$0] < logits[$1] } }
                num += 1
                if top(one) == top(other) { same += 1 }
            }
        }
        return PhoneReport.Agreement(error: error, sameTop: Double(same) / Double(max(num, 1)))
    }

    /// Many calls on one state, as typing makes them.
    package static func endurance(_ backend: any Backend, numCalls: Int) -> PhoneReport.Endurance {
        var report = PhoneReport.Endurance(numCalls: 0, footprintsMB: [footprintMB()])
        do {
            _ = try backend.prefill(ids(12, seed: 1))
            for call in 1..<max(numCalls, 2) {
                switch call % 4 {
                case 0: _ = try backend.scoreTree(ids(8, seed: call), parents: [-1, -1, 0, 0, 1, 2, 3, 4])
                case 1, 2: _ = try backend.decode(ids(1, seed: call))
                default: backend.rewind(backend.length - 1)
                }
                if backend.length > 60 { _ = try backend.prefill(ids(12, seed: call)) }
                report.numCalls = call
                if call % 500 == 0 { report.footprintsMB.append(footprintMB()) }
            }
        } catch {
            report.problem = "\(error)"
        }
        return report
    }

    private static func checkPackage(
        _ folder: URL, _ processor: any Backend, _ numCalls: Int, _ numEndured: Int, _ report: inout PhoneReport
    ) throws {
        #if canImport(CoreML)
            guard #available(iOS 18.0, macOS 15.0, *) else { return }
            guard let package = try CoreMLLoader.open(folder) else {
                report.notes.append("no package in the app: Core ML was not checked")
                return
            }
            let contract = try Contract(manifest: folder.appending(path: Contract.manifestFile))
            do {
                report.devices = try ComputePlan.devices(CoreMLLoader.compiled(folder, contract))
            } catch {
                report.notes.append("Core ML does not say where it runs: \(error.localizedDescription)")
            }
            report.coreML = try timings(package, numCalls)
            report.agreement = try agreement(package, processor)
            report.endurance = endurance(package, numCalls: numEndured)
        #else
            report.notes.append("no Core ML on this system: the processor's network was checked alone")
        #endif
    }

    // Pieces of words, the same in every run.
    private static func ids(_ count: Int, seed: Int) -> [Int] { (0..<count).map { 300 + ((seed &* 31 &+ $0) &* 7919) % 7000 } }

    /// What the process is charged for, in MB: what a system kills it for.
    package static func footprintMB() -> Double {
        #if canImport(Darwin)
            var info = task_vm_info_data_t()
            var count = mach_msg_type_number_t(MemoryLayout<task_vm_info_data_t>.size / MemoryLayout<natural_t>.size)
            let code = withUnsafeMutablePointer(to: &info) { pointer in
                pointer.withMemoryRebound(to: integer_t.self, capacity: Int(count)) {
                    task_info(mach_task_self_, task_flavor_t(TASK_VM_INFO), $0, &count)
                }
            }
            return code == KERN_SUCCESS ? Double(info.phys_footprint) / 1e6 : -1
        #else
            // Resident pages that are the process's own: files that are mapped can be dropped.
            let fields = (try? String(contentsOfFile: "/proc/self/statm", encoding: .utf8))?.split(separator: " ") ?? []
            guard fields.count > 2, let resident = Double(fields[1]), let shared = Double(fields[2]) else { return -1 }
            return (resident - shared) * 4096 / 1e6
        #endif
    }
}
