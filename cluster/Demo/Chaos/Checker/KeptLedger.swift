/// Follows every event that is to be delivered at least once, and tells what became of it.
///
/// It must have been handled, in whatever life of its subscriber, or be in somebody's dead letters. Only the end of the publisher by a signal
/// excuses a loss, and not that of a durable event. One life of a subscriber sees an event once, and the events of one life of a publisher in order.
struct KeptLedger {
    /// What has to be known of a life.
    struct Life {
        let node: Int
        let endedWell: Bool
    }

    /// The identity of an event: its number in one life of its publisher.
    private struct Name: Hashable {
        let publisher: Int
        let number: Int
    }

    private struct Accepted {
        let name: Name
        let strength: Chaos.Strength
        let target: Int
        /// The life that published it.
        let life: Int
    }

    /// One life of a subscriber and one of a publisher.
    private struct Way: Hashable {
        let strength: Chaos.Strength
        let life: Int
        let publisher: Int
    }

    private var accepted: [Accepted] = []
    private var refused: Set<Name> = []
    private var rejected: [Chaos.Strength: Int] = [:]
    /// The lives that have handled an event.
    private var handlers: [Name: [Int]] = [:]
    private var letters: Set<Name> = []
    private var last: [Way: Int] = [:]
    private var redelivered: [Chaos.Strength: Int] = [:]
    private var duplicates: [(Name, life: Int)] = []
    private var disorders: [(Name, after: Int, life: Int)] = []

    /// One line of the history of a life. - Parameter publisher: its incarnation.
    mutating func note(_ kind: Character, _ numbers: [Int], by life: Int, _ publisher: Int) {
        switch (kind, numbers.count) {
        case ("k", 5):
            guard let strength = Chaos.Strength(rawValue: numbers[0]), numbers[3] > 0 else { return }
            guard numbers[4] == 0 else { return rejected[strength, default: 0] += 1 }
            accepted.append(
                Accepted(name: Name(publisher: publisher, number: numbers[2]), strength: strength, target: numbers[1], life: life))
        case ("q", 2): refused.insert(Name(publisher: publisher, number: numbers[1]))
        case ("h", 4):
            guard let strength = Chaos.Strength(rawValue: numbers[0]) else { return }
            handled(Name(publisher: numbers[2], number: numbers[3]), strength, life)
        case ("y", 4): letters.insert(Name(publisher: numbers[2], number: numbers[3]))
        default: break
        }
    }

    private mutating func handled(_ name: Name, _ strength: Chaos.Strength, _ life: Int) {
        let before = handlers[name] ?? []
        handlers[name, default: []].append(life)
        guard !before.contains(life) else { return duplicates.append((name, life)) }
        if !before.isEmpty { redelivered[strength, default: 0] += 1 }
        let way = Way(strength: strength, life: life, publisher: name.publisher)
        if let last = last.updateValue(name.number, forKey: way), last > name.number { disorders.append((name, last, life)) }
    }

    /// Once all histories are read.
    func judge(_ lives: [Life], into verdict: inout ChaosVerdict) {
        for event in accepted { judge(event, lives, &verdict) }
        for strength in Chaos.Strength.allCases {
            verdict[strength].rejected = rejected[strength] ?? 0
            verdict[strength].redelivered = redelivered[strength] ?? 0
            verdict.lostSilently += verdict[strength].lostSilently
        }
        verdict.refused = refused.count
        verdict.duplicates += duplicates.count
        verdict.orderViolations += disorders.count
        for (name, life) in duplicates {
            verdict.complain(
                "event \(name.number) was handled twice by life \(life) of \(Chaos.name(lives[life].node)), which has events at least once")
        }
        for (name, after, life) in disorders {
            verdict.complain("event \(name.number) came after \(after) to life \(life) of \(Chaos.name(lives[life].node)), at least once")
        }
        for name in refused where handlers[name] != nil {
            verdict.refusedButHandled += 1
            verdict.complain("durable event \(name.number) was refused, and handled all the same")
        }
    }

    private func judge(_ event: Accepted, _ lives: [Life], _ verdict: inout ChaosVerdict) {
        verdict[event.strength].accepted += 1
        if handlers[event.name] != nil {
            verdict[event.strength].handled += 1
        } else if letters.contains(event.name) {
            verdict[event.strength].deadLettered += 1
        } else if event.strength == .kept, !lives[event.life].endedWell {
            verdict[event.strength].lostWithPublisher += 1
        } else {
            verdict[event.strength].lostSilently += 1
            verdict.complain(
                "\(event.strength) event \(event.name.number) of life \(event.life), \(Chaos.name(lives[event.life].node)), never came to "
                    + Chaos.name(event.target))
        }
    }
}

extension ChaosVerdict {
    fileprivate subscript(strength: Chaos.Strength) -> KeptAccount {
        get { strength == .kept ? kept : durable }
        set { if strength == .kept { kept = newValue } else { durable = newValue } }
    }
}
