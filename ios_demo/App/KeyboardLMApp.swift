import SwiftUI

@main
struct KeyboardLMApp: App {
    var body: some Scene {
        WindowGroup { ContentView() }
    }
}
