/// When a publish returns.
public enum PublishUntil: Sendable, Hashable {
    /// Once the event is in the queue of every subscription that matched: the default, and the fast one.
    case queued
    /// Once the handlers of this node are done with this very event, well or badly, whatever else waits in their queues; at the latest after the
    /// given time. Handlers of other nodes are not waited for.
    ///
    /// Within a handler, a subscription that itself waits for this handler, or for whoever it waits for, is not waited for. It is named in
    /// ``PublishReceipt/slow``, as is one that is not done in time.
    case processed(within: Duration)

    /// `.processed` with a limit of 30 s.
    public static var processed: PublishUntil { .processed(within: .seconds(30)) }
}
