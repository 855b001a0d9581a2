import LLMgineCore
import LLMgineObservability
import LLMgineResilience

/// Which of the events that wait for one handler have been superseded by a newer one of their key, in the order in which that happened.
///
/// Places are counted from the beginning of a class's open chunk, and mean nothing once the consumer has taken that.
struct SupersededEvents: Sendable {
    struct Place: Sendable, Hashable {
        let lane: Int
        let index: Int
    }

    let key: ConflationKey
    /// Where the newest event of each key stands, by class.
    private var newest: InlineArray<4, [String: Int]> = InlineArray(repeating: [:])
    private var superseded: [Place] = []
    /// How many of them are dealt with.
    private var done = 0
    /// Places of each class that are empty behind others that are not.
    var holes: InlineArray<4, Int> = InlineArray(repeating: 0)

    init(by key: ConflationKey) { self.key = key }

    /// An event comes into a class. One of another class is not superseded by it: they are not in order.
    mutating func comes(_ lane: Int, at index: Int, topic: borrowing Topic, headers: Headers?) {
        guard let key = key.value(topic: topic, headers: headers) else { return }
        if let older = newest[lane].updateValue(index, forKey: key) { superseded.append(Place(lane: lane, index: older)) }
    }

    /// The one that was superseded first, if it is still there, which the caller knows.
    mutating func next() -> Place? {
        guard done < superseded.count else { return nil }
        defer {
            done += 1
            if done > 1024, done * 2 > superseded.count {
                superseded.removeFirst(done)
                done = 0
            }
        }
        return superseded[done]
    }

    /// The consumer has taken the class's chunk, or the places in it are counted anew.
    mutating func forget(_ lane: Int) {
        newest[lane].removeAll(keepingCapacity: true)
        superseded = superseded[done...].filter { $0.lane != lane }
        done = 0
        holes[lane] = 0
    }
}

extension Mailbox {
    /// Lets an event in where the newest of each key is kept.
    func admitConflating(
        _ state: inout State, lane: Int, topic: borrowing Topic, extras: MessageExtras?
    ) -> SubscriberOffer {
        for other in 0..<4 { state.closeRanks(other) }
        state.superseded?.comes(lane, at: state.lanes[lane].end, topic: topic, headers: extras?.headers)
        let size = state.entered &- state.finishedSeen
        guard case .evicts = state.gate.offered(at: size, isDemoted: false, now: SystemClock.sinceEpoch()) else {
            return .accepted(evicted: 0)
        }
        let evicted = state.evictSuperseded() ? 1 : Mailbox.evictOldest(from: &state)
        meters.dropped.increment(by: UInt64(evicted))
        return .accepted(evicted: evicted)
    }
}

extension Mailbox.State {
    /// Lets the event go that was superseded first. False if none is.
    fileprivate mutating func evictSuperseded() -> Bool {
        while let place = superseded?.next() {
            guard lanes[place.lane].remove(at: place.index) else { continue }
            superseded?.holes[place.lane] += 1
            entered &-= 1
            evicted += 1
            return true
        }
        return false
    }

    /// Moves a class's events up once more places are empty between them than not: a constant cost for each event that went.
    fileprivate mutating func closeRanks(_ lane: Int) {
        guard let holes = superseded?.holes[lane], holes > 64, holes * 2 > lanes[lane].items.count else { return }
        lanes[lane].closeRanks()
        superseded?.forget(lane)
        var run = 0
        for index in lanes[lane].items.indices {
            let runs = lanes[lane].runs
            while run + 1 < runs.count, runs[run + 1].first <= index { run += 1 }
            let item = lanes[lane].items[index]
            switch item.body {
            case .gap, .chunk: continue
            case .value, .encoded: superseded?.comes(lane, at: index, topic: runs[run].topic, headers: item.extras?.headers)
            }
        }
    }
}
