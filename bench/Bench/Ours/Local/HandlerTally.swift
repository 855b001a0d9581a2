import Synchronization

/// What a handler of ours keeps: how many messages came, in which order, and when the first and the last did.
///
/// A subscription calls its handler for one event at a time, so there is one writer, and plain atomic loads and stores do: no locked
/// instruction is added to what is measured. Others read while it counts.
final class HandlerTally: Sendable {
    private let count = Atomic<Int>(0)
    private let previous = Atomic<UInt64>(0)
    private let outOfOrder = Atomic<Int>(0)
    private let firstAt = Atomic<UInt64>(0)
    private let lastAt = Atomic<UInt64>(0)
    private let isOver = Atomic<Bool>(false)

    /// Counts an event. The clock is read for the first and for every 64th.
    func record(_ sequence: UInt64) {
        let received = count.load(ordering: .relaxed) + 1
        if sequence <= previous.load(ordering: .relaxed) { outOfOrder.store(outOfOrder.load(ordering: .relaxed) + 1, ordering: .relaxed) }
        previous.store(sequence, ordering: .relaxed)
        if received == 1 { firstAt.store(monotonic(), ordering: .relaxed) }
        if received.isMultiple(of: 64) { lastAt.store(monotonic(), ordering: .relaxed) }
        count.store(received, ordering: .releasing)
    }

    /// Nothing more is to come.
    func end() {
        lastAt.store(monotonic(), ordering: .relaxed)
        isOver.store(true, ordering: .releasing)
    }

    var received: Int { count.load(ordering: .acquiring) }
    var disordered: Int { outOfOrder.load(ordering: .relaxed) }
    var first: UInt64 { firstAt.load(ordering: .relaxed) }
    var last: UInt64 { lastAt.load(ordering: .relaxed) }
    var isEnded: Bool { isOver.load(ordering: .acquiring) }
}

extension [HandlerTally] {
    /// Returns when all have ended, or when none has received anything for three seconds after one did.
    func settled() async throws {
        var total = 0
        var quiet = 0
        while !allSatisfy(\.isEnded), quiet < 150 {
            try await Task.sleep(for: .milliseconds(20))
            let sum = reduce(0) { $0 + $1.received }
            quiet = sum == total && sum > 0 ? quiet + 1 : 0
            total = sum
        }
    }

    /// The line of a sink: what came between the first and the last message of all.
    var line: Line {
        let active = filter { $0.received > 0 }
        let first = active.map(\.first).min() ?? 0
        let last = active.map(\.last).max() ?? 0
        return Line(
            "result",
            [
                "received": "\(reduce(0) { $0 + $1.received })", "seconds": "\(last > first ? Double(last - first) / 1e9 : 0)",
                "disordered": "\(reduce(0) { $0 + $1.disordered })",
            ])
    }
}
