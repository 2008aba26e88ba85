import Foundation
import KeyboardLM
import Testing

/// Swiped words in the field and on the bar, as Python's golden file has them.
struct SwipedTests {
    let golden: [String: Any]

    init() throws {
        golden = try #require(JSONSerialization.jsonObject(with: goldenFile("swipe.json")) as? [String: Any])
    }

    @Test func theFieldIsPythons() throws {
        for asked in try #require(golden["editor"] as? [[String: Any]]) {
            let editor = Editor()
            var finished: [String] = []
            for step in try #require(asked["events"] as? [[String: Any]]) {
                for event in events(step) { finished += editor.apply(event).finished.map(\.word.string) }
            }
            #expect(editor.text.string == asked["text"] as? String, "\(asked["name"] ?? "")")
            #expect(editor.cursor == asked["cursor"] as? Int, "\(asked["name"] ?? "")")
            #expect(finished == asked["finished"] as? [String], "\(asked["name"] ?? "")")
        }
    }

    @Test func fieldsOverTheToyNetworkArePythons() throws {
        let keyboard = try ToyKeyboard()
        for asked in try #require(golden["sessions"] as? [[String: Any]]) {
            let (session, store) = try keyboard.session()
            for (number, step) in try #require(asked["steps"] as? [[String: Any]]).enumerated() {
                if let path = step["path"] as? [[NSNumber]] {
                    try session.swipe(path.map { PathPoint(x: $0[0].doubleValue, y: $0[1].doubleValue, ms: $0[2].doubleValue) })
                    let slots = session.shown.slots.map { [$0.text.string, $0.kind.rawValue, $0.replaced.string] }
                    #expect(slots == step["slots"] as? [[String]], "step \(number)")
                } else if let place = step["accepted"] as? Int {
                    let slot = session.suggest().slots[place]
                    session.apply(.slotAccepted(slot.text, replaced: slot.replaced))
                } else {
                    for event in events(step) { session.apply(event) }
                }
                #expect(session.text.string == step["text"] as? String, "step \(number)")
            }
            #expect(store.heaviestWords().map(\.string) == asked["learned"] as? [String])
        }
    }

    @Test func whatNoFingerDrawsIsOneErrorAndChangesNothing() throws {
        let (session, _) = try ToyKeyboard().session()
        session.apply(.typed("a"))
        for wrong in [[], [PathPoint(x: .nan, y: 1, ms: 0)]] {
            #expect(throws: KeyboardLMError.self) { try session.swipe(wrong) }
        }
        try session.swipe([PathPoint(x: 1e300, y: 1e300, ms: 0)])  // a tap on no key
        #expect(session.text == "A" && session.revision == 1)
    }

    private func events(_ step: [String: Any]) -> [Event] {
        let (name, value) = step.first { $0.key != "text" } ?? ("", "")
        let text = CodePoints(value as? String ?? ""), number = value as? Int ?? 0
        switch name {
        case "typed": return text.values.map { .typed(CodePoints($0)) }
        case "swiped": return [.swiped(text)]
        case "backspaced": return Array(repeating: .backspaced, count: number)
        case "cursor_moved": return [.cursorMoved(number)]
        default: return [.fieldStarted(text)]
        }
    }
}
