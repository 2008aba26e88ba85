import KeyboardLM
import SwiftUI

/// Runs what only a device can tell, and gives one report to share. Files are those of the keyboard in this app.
struct CheckView: View {
    @State private var report = ""
    @State private var isRunning = false

    var body: some View {
        List {
            Section("What it does") {
                Text("Times both networks, compares them, makes 5,000 calls on one state. A few minutes; nothing you typed is in it.")
                Button(isRunning ? "Running" : "Check this phone") { run() }
            }
            Section("Report") {
                Text(report.isEmpty ? "none yet" : report)
                ShareLink(item: report)
            }
        }
        .navigationTitle("Check this phone")
    }

    private func run() {
        guard !isRunning, let files = Self.files else { return }
        isRunning = true
        Task {
            report = await Task.detached { PhoneCheck.run(files).json }.value
            isRunning = false
        }
    }

    private static var files: KeyboardFiles? {
        let keyboard = Bundle.main.builtInPlugInsURL?.appending(path: "Keyboard.appex")
        return keyboard.map { KeyboardFiles(model: $0) }
    }
}
