/// Reads what all lives of all nodes have written, and tells what became of every event.
///
/// For each publisher's life and each subscription: published = handled + told by gap markers + dead letters + lost with a link. A link that ends
/// takes the rest of what was under way with it, of each topic and class the last ones; the publisher's log names it. What is missing elsewhere, and
/// in no marker, is lost silently. What is delivered at least once is for ``KeptLedger`` to judge, requests are for ``RequestLedger``, and how soon links
/// are of use again for ``ResumeLedger``.
package struct ChaosChecker {
    private struct Published {
        let number: Int
        let key: Int
        let label: Int
        let isUnclear: Bool
        let time: Int
    }

    /// One life of a node.
    private final class Life {
        let node: Int
        var incarnation = 0
        var established = Int.max
        var endedWell = false
        var published: [Int: [Published]] = [:]
        var current: [Int: Int] = [:]
        /// The links of the end, when all was quiet; none if the life did not see it.
        var labels: [Int: Int] = [:]
        /// What each subscription has missed, as the markers say.
        var missed = [0, 0, 0, 0]
        var holes = [0, 0, 0, 0]

        init(node: Int) { self.node = node }
    }

    /// What one subscription of one node got from one life of a publisher.
    private struct Receipts {
        /// The life of the subscriber that has handled each event.
        var handled: [Int: Int] = [:]
        var last: [Int: Int] = [:]
        var letters: Set<Int> = []
    }

    private struct Way: Hashable {
        let incarnation: Int
        let publisher: Int
        let subscriber: Int
        let subscription: Int
    }

    private var lives: [Life] = []
    private var receipts: [Way: Receipts] = [:]
    private var ledger = KeptLedger()
    private var requests = RequestLedger()
    private var resumes = ResumeLedger()
    package private(set) var verdict = ChaosVerdict()

    /// - Parameters:
    ///   - histories: what the lives wrote, those of one node in their order.
    ///   - times: when troubles came and went.
    package init(_ histories: [(node: Int, bytes: [UInt8])], times: ChaosTimes = ChaosTimes()) {
        for history in histories { read(history.bytes, of: history.node) }
        for life in lives { judge(life) }
        verdict.lives = lives.count
        for (index, life) in lives.enumerated() {
            for subscription in Chaos.Behaviour.allCases {
                let place = subscription.rawValue
                let untold = max(0, life.holes[place] - life.missed[place])
                if untold > 0 {
                    complain("life \(index) of \(Chaos.name(life.node)): \(untold) events for \(subscription) are missing, in no marker")
                }
                verdict.lostSilently += untold
                verdict.evicted += life.missed[place]
            }
        }
        let ends = lives.map { KeptLedger.Life(node: $0.node, endedWell: $0.endedWell) }
        ledger.judge(ends, into: &verdict)
        requests.judge(ends, times.rollingRestarts, into: &verdict)
        resumes.judge(times, into: &verdict)
    }

    private mutating func complain(_ text: String) { verdict.complain(text) }

    // MARK: Reading

    private mutating func read(_ bytes: [UInt8], of node: Int) {
        let life = Life(node: node)
        let index = lives.count
        lives.append(life)
        for line in HistoryLines(bytes) { note(line.kind, line.numbers, life, index) }
    }

    private mutating func note(_ kind: Character, _ numbers: [Int], _ life: Life, _ index: Int) {
        switch (kind, numbers.count) {
        case ("i", 1): life.incarnation = numbers[0]
        case ("e", 1): life.established = numbers[0]
        case ("f", 0): life.labels = life.current
        case ("z", 0):
            life.endedWell = true
            verdict.cleanEnds += 1
        case ("l", 4):
            life.current[numbers[0]] = numbers[1]
            verdict.links += numbers[2]
        case ("p", 9):
            verdict.published += 1
            verdict.rejected += numbers[5]
            guard numbers[4] > 0 else { return }
            life.published[numbers[0], default: []].append(
                Published(
                    number: numbers[1], key: numbers[2] * 4 + numbers[3], label: numbers[6], isUnclear: numbers[6] != numbers[7],
                    time: numbers[8]))
        case ("d", 7):
            verdict.handled += 1
            life.missed[numbers[0] & 3] += numbers[6]
            let way = Way(incarnation: numbers[2], publisher: numbers[1], subscriber: life.node, subscription: numbers[0])
            let key = numbers[4] * 4 + numbers[5]
            if receipts[way, default: Receipts()].handled.updateValue(index, forKey: numbers[3]) != nil {
                verdict.duplicates += 1
                complain("event \(numbers[3]) of \(Chaos.name(numbers[1])) was handled twice by \(Chaos.name(life.node))/\(numbers[0])")
            }
            if let before = receipts[way]?.last.updateValue(numbers[3], forKey: key), before > numbers[3] {
                verdict.orderViolations += 1
                complain("event \(numbers[3]) of \(Chaos.name(numbers[1])) came after \(before) to \(Chaos.name(life.node))/\(numbers[0])")
            }
        case ("x", 4):
            let way = Way(incarnation: numbers[2], publisher: numbers[1], subscriber: life.node, subscription: numbers[0])
            receipts[way, default: Receipts()].letters.insert(numbers[3])
        case ("m", 1): verdict.renewals += 1
        case ("r", _), ("o", _), ("t", _): requests.note(kind, numbers, by: index)
        case ("a", _): resumes.note(kind, numbers, at: life.node)
        default: ledger.note(kind, numbers, by: index, life.incarnation)
        }
    }

    // MARK: Judging

    /// Follows what one life has published to each other node and subscription.
    private mutating func judge(_ life: Life) {
        for (target, published) in life.published {
            for subscription in Chaos.Behaviour.allCases {
                let way = Way(
                    incarnation: life.incarnation, publisher: life.node, subscriber: target, subscription: subscription.rawValue)
                judge(published.sorted { $0.number < $1.number }, receipts[way] ?? Receipts(), life, target, subscription)
            }
        }
    }

    private mutating func judge(
        _ published: [Published], _ receipts: Receipts, _ life: Life, _ target: Int, _ subscription: Chaos.Behaviour
    ) {
        verdict.matched += published.count
        var begun: [Int: Int] = [:]
        for event in published where begun[event.label] == nil { begun[event.label] = event.time }
        /// By link and by topic and class: what is missing since the last one that came.
        var missing: [Int: [Int: Int]] = [:]
        var subscribers: [Int: Int] = [:]
        var holes: [Int: Int] = [:]
        for event in published {
            let isLetter = receipts.letters.contains(event.number)
            if isLetter { verdict.deadLettered += 1 }
            if let handler = receipts.handled[event.number] {
                guard !event.isUnclear else { continue }
                subscribers[event.label] = handler
                holes[event.label, default: 0] += missing[event.label]?.removeValue(forKey: event.key) ?? 0
            } else if !isLetter {
                // While the routes of a new link come in, some of its subscriptions are known and others are not yet.
                if event.isUnclear || event.time - (begun[event.label] ?? 0) < 20_000 {
                    verdict.unclear += 1
                } else {
                    missing[event.label, default: [:]][event.key, default: 0] += 1
                }
            }
        }
        for (label, count) in holes {
            if let handler = subscribers[label] { lives[handler].holes[subscription.rawValue] += count }
        }
        for (label, byKey) in missing {
            let count = byKey.values.reduce(0, +)
            verdict.lostWithLinks += count
            // The link of the end: it was never lost, so nothing may be missing but what was evicted at its very end.
            guard label == life.labels[target], life.endedWell, let last = lives.last(where: { $0.node == target }), last.endedWell,
                let handler = subscribers[label], lives[handler] === last
            else { continue }
            verdict.lostWithLinks -= count
            lives[handler].holes[subscription.rawValue] += count
        }
    }
}
