/// Where a node of the chaos stands, counted over its present life.
struct ChaosTally: Codable, Sendable {
    var handled = 0
    var peers = 0
    /// Events that wait in queues, for links and for handlers.
    var waiting = 0
    /// Events that somebody has not acknowledged, and events that are open in the journal.
    var owed = 0
    /// Durable publishes that returned.
    var acknowledged = 0
    /// Durable publishes that the journal refused.
    var refused = 0
    /// Links that went on with other certificates.
    var renewals = 0
    /// Links that ended, by why.
    var closures: [String: Int] = [:]
}
