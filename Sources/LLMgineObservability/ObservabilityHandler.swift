/// Somebody who is told what happens on the bus.
///
/// Called one event at a time on a thread of the manager's own, behind a bounded queue, never on the path of the event. A slow handler delays other
/// handlers and loses old events, which are counted; it delays no publisher.
public protocol ObservabilityHandler: AnyObject, Sendable {
    /// Takes note of an event.
    func handle(_ event: ObservedEvent)
    /// Called when no further event is waiting: the moment to write what was gathered. Does nothing by default.
    func flush()
}

extension ObservabilityHandler {
    /// Does nothing.
    public func flush() {}
}
