public import LLMgineObservability

extension Instrument {
    /// Events that a filter stopped.
    public static let eventsFiltered = Instrument(
        .counter, "llmgine.events.filtered", unit: "{event}", "Events that a filter stopped when they were published.")
    /// What a topic permission stopped.
    public static let permissionsDenied = Instrument(
        .counter, "llmgine.permissions.denied",
        "What a topic permission stopped, by action (publish, subscribe, request, deliver, replay) and the node that wanted it.")
    /// Filters that threw.
    public static let filterFaults = Instrument(.counter, "llmgine.filters.failed", "Calls of event filters that threw.")
    /// Events that were kept for a subscription of another node and could not be brought to it.
    public static let eventsUndelivered = Instrument(
        .counter, "llmgine.events.undelivered", unit: "{event}",
        "Events kept for a subscription of another node that could not be brought to it.")
    /// Events that came a second time.
    public static let eventsRepeated = Instrument(
        .counter, "llmgine.events.repeated", unit: "{event}",
        "Events that came again to a subscription that has them at least once, and were not handled again.")
    /// What the bus could not tell because too much waited.
    public static let announcementsDropped = Instrument(
        .counter, "llmgine.announcements.dropped", unit: "{event}", "Events of the bus itself that were dropped because too many waited.")
}
