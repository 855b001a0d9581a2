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
        /// Another number shows that it has moved meanwhile: it got credit or acknowledgements, or had room and turned publishers away again.
        package let turn: UInt64

        package init(flow: UInt32, deadline: Duration, turn: UInt64 = 0) {
            self.flow = flow
            self.deadline = deadline
            self.turn = turn
        }
    }

    private struct Hold {
        var end: Duration
        let turn: UInt64
    }

    private var ends: [UInt32: Hold] = [:]

    /// Nobody holds it yet.
    package init() {}

    /// When the first of those who hold it now has had its time; nil if nobody does.
    package mutating func end(of holders: [Holder], at now: Duration) -> Duration? {
        for holder in holders where ends[holder.flow] == nil { hold(holder, from: now) }
        return holders.compactMap { ends[$0.flow]?.end }.min()
    }

    /// The publisher, who has waited for others so far, waits for these now. One that has moved meanwhile holds it from now on: it had no chance to show
    /// that it is not stuck.
    package mutating func begin(with holders: [Holder], at now: Duration) {
        for holder in holders where ends[holder.flow].map({ $0.turn != holder.turn }) ?? false { hold(holder, from: now) }
    }

    private mutating func hold(_ holder: Holder, from now: Duration) {
        ends[holder.flow] = Hold(end: now + holder.deadline, turn: holder.turn)
    }

    /// Those of them that have had their time.
    package func overdue(_ holders: [Holder], at now: Duration) -> [UInt32] {
        holders.map(\.flow).filter { flow in ends[flow].map { $0.end <= now } ?? false }
    }
}
