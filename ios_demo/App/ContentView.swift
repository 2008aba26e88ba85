import SwiftUI

/// How to switch the keyboard on, a field to try it in, and what it keeps.
struct ContentView: View {
    @State private var text = ""

    var body: some View {
        NavigationStack {
            List {
                Section("Switch it on") {
                    Text("Settings, General, Keyboard, Keyboards, Add New Keyboard, keyboard-lm.")
                }
                Section("Try it") {
                    TextField("Hold the globe key and choose keyboard-lm", text: $text, axis: .vertical)
                }
                Section("Learned words") {
                    NavigationLink("Learned words") { LearnedView() }
                }
                Section("Check") {
                    NavigationLink("Check this phone") { CheckView() }
                }
                Section("Privacy") {
                    Text("The keyboard asks for no Full Access: iOS itself lets nothing leave it. Words are learned on this phone only.")
                }
            }
            .navigationTitle("keyboard-lm")
        }
    }
}
