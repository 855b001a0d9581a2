import LLMgineBroker
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
    /// Whether a link to another node has ended since the start, or that node has said that it leaves: what was under way there may be lost.
    /// What ends because this node stops does not count.
    package var hasLostPeer: Bool { state.withLock { $0.hasLostPeer } }

    /// The link ends, or its node leaves. Of links to leaves and those in reserve nothing is noted.
    func noteLostPeer(_ id: LinkID) {
        state.withLock { state in
            if let link = state.links[id], !link.isLeaf { state.hasLostPeer = true }
        }
    }

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
