import enum LLMgineCore.Priority

/// The requests of one topic that wait for a responder, in the order of their class and then of their coming.
///
/// Requests that ended otherwise stay in the line until they are met or until they outnumber the others; whoever asks tells which still wait.
struct WaitingLine: Sendable {
    private var queues: [[UInt64]] = Array(repeating: [], count: Priority.allCases.count)
    private var heads: [Int] = Array(repeating: 0, count: Priority.allCases.count)
    /// Requests in it that still wait.
    private(set) var count = 0

    var isEmpty: Bool { count == 0 }

    mutating func append(_ request: UInt64, _ priority: Priority) {
        queues[Int(priority.rawValue)].append(request)
        count += 1
    }

    /// A request of this line waits no longer.
    mutating func removed(stillWaiting: (UInt64) -> Bool) {
        count -= 1
        for index in queues.indices where queues[index].count > 2 * count + 64 {
            queues[index] = queues[index][heads[index]...].filter(stillWaiting)
            heads[index] = 0
        }
    }

    /// The first request that may go, without taking it out.
    mutating func first(stillWaiting: (UInt64) -> Bool, where mayGo: (UInt64) -> Bool) -> UInt64? {
        for index in queues.indices {
            while heads[index] < queues[index].count, !stillWaiting(queues[index][heads[index]]) { heads[index] += 1 }
            for request in queues[index][heads[index]...] where stillWaiting(request) && mayGo(request) { return request }
        }
        return nil
    }

    func all(stillWaiting: (UInt64) -> Bool) -> [UInt64] {
        queues.indices.flatMap { queues[$0][heads[$0]...].filter(stillWaiting) }
    }
}
