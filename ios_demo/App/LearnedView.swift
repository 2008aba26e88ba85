import KeyboardLM
import SwiftUI

/// What the keyboard has learned, as it has typed it here: listed, forgotten word by word, exported, erased.
///
/// The keyboard's own file is out of an app's reach without Full Access, and stays so: here is a copy.
struct LearnedView: View {
    @State private var typed = ""
    @State private var words: [String] = []
    @State private var archive = ""
    @State private var problem = ""
    private let learned = try? LearnedWords(path: Self.path)

    var body: some View {
        List {
            Section("From the keyboard") {
                Text("Touch the field, then 123, words, type all on the keyboard. Forgetting there is for good; here is a copy.")
                TextField("What the keyboard types", text: $typed, axis: .vertical)
                Button("Take it in") { change { try $0.add(typed) } }
                Text(problem)
            }
            Section("Words") {
                ForEach(words, id: \.self) { word in
                    Button("Forget \(word)") { change { try $0.forget(word) } }
                }
            }
            Section("All of them") {
                ShareLink(item: archive)
                Button("Erase") { change { try $0.clear() } }
            }
        }
        .navigationTitle("Learned words")
        .onAppear { refresh() }
    }

    private func change(_ what: (LearnedWords) throws -> Void) {
        guard let learned else { return problem = "The file of learned words cannot be opened; install the app again." }
        do {
            try what(learned)
            (typed, problem) = ("", "")
        } catch {
            problem = "\(error)"
        }
        refresh()
    }

    private func refresh() {
        words = learned?.words ?? []
        archive = (try? learned?.archive()) ?? ""
    }

    private static var path: String? {
        let support = FileManager.default.urls(for: .applicationSupportDirectory, in: .userDomainMask)
        guard let folder = support.first?.appending(path: "keyboard-lm") else { return nil }
        try? FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        return folder.appending(path: "received.db").path
    }
}
