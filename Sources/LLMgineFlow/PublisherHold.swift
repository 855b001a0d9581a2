/// How long one publisher waits with one event for the subscriptions that hold it back: for each of them its own deadline, from when it was first seen to.
///
/// The times are since an epoch of the caller's.
package struct PublisherHold: Sendable {
    /// A subscription for whose room publishers wait.
    package struct Holder: Sendable, Hashable {
        /// Its flow.
        package let flow: UInt32
        /// How long one of them does at most.
        package let deadline: Duration

        package init(flow: UInt32, deadline: Duration) {
            self.flow = flow
            self.deadline = deadline
        }
    }

    private var ends: [UInt32: Duration] = [:]

    /// Nobody holds it yet.
    package init() {}

    /// When the first of those who hold it now has had its time; nil if nobody does.
    package mutating func end(of holders: [Holder], at now: Duration) -> Duration? {
        for holder in holders where ends[holder.flow] == nil { ends[holder.flow] = now + holder.deadline }
        return holders.compactMap { ends[$0.flow] }.min()
    }

    /// Those of them that have had their time.
    package func overdue(_ holders: [Holder], at now: Duration) -> [UInt32] {
        holders.map(\.flow).filter { flow in ends[flow].map { $0 <= now } ?? false }
    }
}
