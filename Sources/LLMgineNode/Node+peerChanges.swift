package import LLMgineCore
import Synchronization

/// What became of a link to another node.
package enum PeerChange: Sendable, Hashable {
    /// There is one now.
    case linked(NodeID)
    /// It is gone, for whatever reason.
    case lost(NodeID)
}

extension Node {
    /// What becomes of the links to other nodes from now on, those to leaves left out. Who reads slowly gets the newest 64.
    package func peerChanges() -> AsyncStream<PeerChange> {
        let (changes, watcher) = AsyncStream.makeStream(of: PeerChange.self, bufferingPolicy: .bufferingNewest(64))
        let id = state.withLock { state in
            state.nextWaiter += 1
            state.watchers[state.nextWaiter] = watcher
            return state.nextWaiter
        }
        watcher.onTermination = { [weak self] _ in
            // It is let go outside of the lock.
            _ = self?.state.withLock { $0.watchers.removeValue(forKey: id) }
        }
        return changes
    }

    func tellWatchers(_ change: PeerChange) {
        for watcher in state.withLock({ Array($0.watchers.values) }) { watcher.yield(change) }
    }
}
