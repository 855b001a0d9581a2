package import LLMgineCore
package import LLMgineFlow

// For people who look.
extension Outbox {
    /// What waits on a link, and for what.
    package struct Status: Sendable {
        /// How many subscriptions the peer has.
        package var flows = 0
        /// What may still be sent to them, over all classes.
        package var credit = Credit.none
        /// What waits for them; a message for several counts for each.
        package var messages = 0
        package var bytes = 0
        /// Where the peer was told that credit is missing and has given none since.
        package var blocked: [Blocked] = []
    }

    /// One class of a flow that waits for credit.
    package struct Blocked: Sendable {
        package let flow: UInt32
        package let priority: Priority
        package let messages: Int
        package let bytes: Int
        /// What the subscription asks of its publishers.
        package let whenFull: WhenFull
        /// Whether publishers no longer wait for it.
        package let isDemoted: Bool
    }

    package var status: Status {
        var status = Status()
        status.flows = slots.count
        for (id, slot) in slots {
            for place in places(of: slot) {
                let room = queues[place].purse.room
                status.credit.messages = status.credit.messages.addingClamped(room.messages)
                status.credit.bytes = status.credit.bytes.addingClamped(room.bytes)
                status.messages += queues[place].messages + queues[place].heldCount
                status.bytes += queues[place].bytes + (queues[place].held?.bytes ?? 0)
                guard queues[place].saidBlocked, let priority = Priority(rawValue: UInt8(truncatingIfNeeded: place & 3)) else { continue }
                status.blocked.append(
                    Blocked(
                        flow: id, priority: priority, messages: queues[place].messages + queues[place].heldCount,
                        bytes: queues[place].bytes + (queues[place].held?.bytes ?? 0), whenFull: flows[slot].whenFull,
                        isDemoted: flows[slot].isDemoted))
            }
        }
        status.blocked.sort { ($0.flow, $0.priority) < ($1.flow, $1.priority) }
        return status
    }
}

extension UInt64 {
    fileprivate func addingClamped(_ other: UInt64) -> UInt64 {
        let (sum, overflow) = addingReportingOverflow(other)
        return overflow ? .max : sum
    }
}
