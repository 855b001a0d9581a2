/// Follows every request to its outcome.
///
/// It must have one, whatever happens, unless its own process was killed. While nodes are restarted one after another, one that had two responders must be
/// answered, unless its own node was the one that was asked to end.
struct RequestLedger {
    private struct Name: Hashable {
        let life: Int
        let number: Int
    }

    private struct Begun {
        let responders: Int
        let time: Int
    }

    private struct Failure {
        let name: Name
        let begun: Begun
        let outcome: ChaosOutcome
        /// Whether the requester had been asked to end by then.
        let isOwnEnd: Bool
    }

    private var account = RequestAccount()
    private var open: [Name: Begun] = [:]
    private var failures: [Failure] = []
    /// The lives that were asked to end.
    private var ending: Set<Int> = []

    /// One line of the history of a life.
    mutating func note(_ kind: Character, _ numbers: [Int], by life: Int) {
        switch (kind, numbers.count) {
        case ("r", 3):
            account.made += 1
            open[Name(life: life, number: numbers[0])] = Begun(responders: numbers[1], time: numbers[2])
        case ("o", 2):
            let name = Name(life: life, number: numbers[0])
            guard let outcome = ChaosOutcome(rawValue: numbers[1]), let begun = open.removeValue(forKey: name) else { return }
            if outcome == .answered {
                account.answered += 1
            } else {
                account.failed[outcome, default: 0] += 1
                failures.append(Failure(name: name, begun: begun, outcome: outcome, isOwnEnd: ending.contains(life)))
            }
        case ("t", 0): ending.insert(life)
        default: break
        }
    }

    /// Once all histories are read.
    func judge(_ lives: [KeptLedger.Life], _ rollingRestarts: [ClosedRange<Int>], into verdict: inout ChaosVerdict) {
        verdict.requests = account
        for failure in failures {
            let (number, name) = (failure.name.number, Chaos.name(lives[failure.name.life].node))
            let isInRestart = rollingRestarts.contains { $0.contains(failure.begun.time) }
            if failure.outcome == .never || failure.outcome == .wrongAnswer {
                verdict.complain("request \(number) of \(name): \(failure.outcome.name)")
            }
            guard isInRestart, failure.begun.responders > 1, !failure.isOwnEnd else { continue }
            verdict.requests.failedInRollingRestart += 1
            verdict.complain("request \(number) of \(name) had two responders, and failed in a rolling restart: \(failure.outcome.name)")
        }
        for name in open.keys {
            guard lives[name.life].endedWell else {
                verdict.requests.cutOff += 1
                continue
            }
            verdict.requests.failed[.never, default: 0] += 1
            verdict.complain("request \(name.number) of \(Chaos.name(lives[name.life].node)) has no outcome, and its process ended well")
        }
    }
}
