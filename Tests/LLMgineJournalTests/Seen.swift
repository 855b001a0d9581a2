import LLMgineCore
import LLMgineJournal
import Synchronization

struct OrderPlaced: Event, Equatable {
    var id: Int
}

/// What a handler has seen, for tests to wait for.
final class Seen: Sendable {
    private let ids = Mutex<[Int]>([])
    func add(_ id: Int) { ids.withLock { $0.append(id) } }
    var all: [Int] { ids.withLock { $0 } }

    func reaches(_ count: Int) async throws -> [Int] {
        while all.count < count {
            try Task.checkCancellation()
            await Task.yield()
        }
        return all
    }
}

extension FileJournal {
    /// Waits until nobody is owed anything.
    func settled() async throws {
        while statistics.open > 0 {
            try Task.checkCancellation()
            await Task.yield()
        }
    }
}
