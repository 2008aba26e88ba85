/// Answers that are remembered; when there are too many all are forgotten.
final class Memo<Question: Hashable, Answer> {
    private var answers: [Question: Answer] = [:]
    private let most: Int

    init(most: Int) { self.most = most }

    /// Returns what is remembered, or what `find` says and is from now on.
    func value(_ question: Question, _ find: () throws -> Answer) rethrows -> Answer {
        if let known = answers[question] { return known }
        let found = try find()
        put(found, for: question)
        return found
    }

    func known(_ question: Question) -> Answer? { answers[question] }

    func put(_ answer: Answer, for question: Question) {
        if answers.count >= most { answers.removeAll(keepingCapacity: true) }
        answers[question] = answer
    }
}
