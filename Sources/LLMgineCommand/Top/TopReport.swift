import ArgumentParser
import LLMgine

/// What two looks at a cluster, one after the other, say of what went on between them.
struct TopReport: Encodable {
    /// What the nodes said at one moment.
    struct Look {
        let at: ContinuousClock.Instant
        let statuses: [NodeStatus]
        /// All members, as the node that was asked first sees them.
        let members: [NodeStatus.Member]
    }

    /// What subscriptions are ordered by, the most first.
    enum Order: String, ExpressibleByArgument, CaseIterable {
        case rate, queued, lost
    }

    /// One node.
    struct NodeRow: Encodable {
        var node: String
        var state: String
        /// Handler calls a second; nil without an earlier look, or when the node was started in between.
        var handledPerSecond: Double?
        var lostPerSecond: Double?
        var queued: UInt64
        var subscriptions: Int
        var links: Int
        /// Messages that wait to go out to peers.
        var outgoing: Int
        var credit: UInt64
        var blocked: Int
        var memoryUsed: UInt64
        var memoryBudget: UInt64
        /// Durable events that are open; nil without a journal.
        var journalOpen: Int?
    }

    /// One subscription of a node.
    struct SubscriptionRow: Encodable {
        var node: String
        var name: String
        var handledPerSecond: Double?
        var queued: UInt64
        var lost: UInt64
    }

    /// A subscription that publishers on a node wait for, or have stopped waiting for.
    struct SlowRow: Encodable {
        var publisher: String
        var node: String
        var subscription: String
        var priority: String
        var messages: Int
        var isDemoted: Bool
        var whenFull: String?

        /// What its publishers do.
        var publishers: String {
            if isDemoted { return "\(publisher) wait no more: its oldest go" }
            guard let whenFull, let policy = try? WhenFull(named: whenFull) else { return "\(publisher) wait" }
            return switch policy {
            case .block: "\(publisher) wait"
            case .adaptiveRateLimit: "\(publisher) are slowed"
            case .dropOldest, .rejectNew, .conflate, .spill: "\(publisher) go on: \(policy)"
            }
        }
    }

    var cluster: String
    var seconds: Double?
    var nodes: [NodeRow]
    var slow: [SlowRow]
    var subscriptions: [SubscriptionRow]

    init(_ look: Look, since earlier: Look?, order: Order) {
        cluster = look.statuses.first?.cluster ?? ""
        let seconds = earlier.map { TopReport.seconds(from: $0.at, to: look.at) }
        self.seconds = seconds
        let before = Dictionary((earlier?.statuses ?? []).map { ($0.node, $0) }, uniquingKeysWith: { $1 })
        let known = Dictionary(look.statuses.map { ($0.node, $0) }, uniquingKeysWith: { $1 })
        nodes = look.members.filter { $0.state != "leaf" && $0.state != "left" }.sorted { $0.node < $1.node }.map { member in
            TopReport.row(member, known[member.node], before: before[member.node], seconds: seconds)
        }
        slow = look.statuses.flatMap { status in
            status.links.flatMap { link in
                link.blocked.map { blocked in
                    SlowRow(
                        publisher: status.node.name, node: link.peer.name, subscription: blocked.subscription, priority: blocked.priority,
                        messages: blocked.messages, isDemoted: blocked.isDemoted, whenFull: blocked.whenFull)
                }
            }
        }.sorted { $0.messages > $1.messages }
        let rows = look.statuses.flatMap { TopReport.rows($0, before: before[$0.node], seconds: seconds) }
        subscriptions = rows.sorted { one, other in
            switch order {
            case .rate: (one.handledPerSecond ?? 0, one.queued) > (other.handledPerSecond ?? 0, other.queued)
            case .queued: (one.queued, one.lost) > (other.queued, other.lost)
            case .lost: (one.lost, one.queued) > (other.lost, other.queued)
            }
        }
    }

    private static func row(_ member: NodeStatus.Member, _ status: NodeStatus?, before: NodeStatus?, seconds: Double?) -> NodeRow {
        let links = status?.links ?? []
        let memory = status?.memory
        return NodeRow(
            node: member.node.name, state: status == nil ? "silent" : member.state == "self" ? "linked" : member.state,
            handledPerSecond: rate(status?.handled, before?.handled, seconds), lostPerSecond: rate(status?.lost, before?.lost, seconds),
            queued: status?.queued ?? 0, subscriptions: status?.totals?.subscriptions ?? status?.subscriptions.count ?? 0,
            links: links.count + (status?.omitted?.links ?? 0), outgoing: links.reduce(0) { $0 &+ $1.queuedMessages },
            credit: links.reduce(0) { $0 &+ $1.creditMessages },
            blocked: links.reduce(status?.omitted?.blocked ?? 0) { $0 &+ $1.blocked.count },
            memoryUsed: (memory?.exclusive ?? 0) &+ (memory?.floating ?? 0),
            memoryBudget: memory?.budget ?? 0, journalOpen: status?.journal?.open)
    }

    private static func rows(_ status: NodeStatus, before: NodeStatus?, seconds: Double?) -> [SubscriptionRow] {
        let earlier = Dictionary((before?.subscriptions ?? []).map { ($0.name, $0.processed) }, uniquingKeysWith: { $0 &+ $1 })
        // Subscriptions of one name are one row.
        var rows: [String: (processed: UInt64, queued: UInt64, lost: UInt64)] = [:]
        for one in status.subscriptions {
            let row = rows[one.name] ?? (0, 0, 0)
            rows[one.name] = (row.processed &+ one.processed, row.queued &+ one.queued, row.lost &+ one.lost)
        }
        return rows.sorted { $0.key < $1.key }.map { name, row in
            SubscriptionRow(
                node: status.node.name, name: name, handledPerSecond: rate(row.processed, earlier[name], seconds), queued: row.queued,
                lost: row.lost)
        }
    }

    /// Nil where a rate means nothing: without an earlier look, or when the counter began anew.
    private static func rate(_ now: UInt64?, _ before: UInt64?, _ seconds: Double?) -> Double? {
        guard let now, let before, let seconds, seconds > 0, now >= before else { return nil }
        return (Double(now - before) / seconds * 10).rounded() / 10
    }

    private static func seconds(from one: ContinuousClock.Instant, to other: ContinuousClock.Instant) -> Double {
        let (seconds, attoseconds) = one.duration(to: other).components
        return Double(seconds) + Double(attoseconds) / 1e18
    }
}

extension NodeStatus {
    // An older node tells of all its subscriptions, and not what they come to.
    fileprivate var handled: UInt64 { totals?.processed ?? subscriptions.reduce(0) { $0 &+ $1.processed } }
    fileprivate var lost: UInt64 { totals?.lost ?? subscriptions.reduce(0) { $0 &+ $1.lost } }
    fileprivate var queued: UInt64 { totals?.queued ?? subscriptions.reduce(0) { $0 &+ $1.queued } }
}

extension TopReport {
    /// The report as a screen of so many rows and columns; all of it if there is no screen.
    func lines(for size: (rows: Int, columns: Int)?) -> [String] {
        var lines = [headline, ""] + nodeTable.lines
        if !slow.isEmpty { lines += [""] + slowTable.lines }
        lines += [""] + subscriptionTable.lines
        guard let size else { return lines }
        return lines.prefix(max(1, size.rows - 1)).map { String($0.prefix(size.columns)) }
    }

    private var nodeTable: Table {
        Table(
            of: nodes, ("NODE", \.node), ("STATE", \.state), ("HANDLED/S", { TopReport.text($0.handledPerSecond) }),
            ("LOST/S", { TopReport.text($0.lostPerSecond) }), ("QUEUED", { "\($0.queued)" }), ("SUBS", { "\($0.subscriptions)" }),
            ("LINKS", { "\($0.links)" }), ("OUTGOING", { "\($0.outgoing)" }), ("CREDIT", { "\($0.credit)" }),
            ("BLOCKED", { "\($0.blocked)" }),
            ("JOURNAL", { $0.journalOpen.map { "\($0)" } ?? "-" }),
            ("MEMORY", { $0.memoryBudget == 0 ? "-" : "\($0.memoryUsed * 100 / $0.memoryBudget) %" }))
    }

    private var slowTable: Table {
        Table(
            of: Array(slow.prefix(10)), ("SLOW SUBSCRIBER", \.subscription), ("NODE", \.node), ("CLASS", \.priority),
            ("WAITING", { "\($0.messages)" }), ("PUBLISHERS ON", \.publishers))
    }

    private var subscriptionTable: Table {
        Table(
            of: subscriptions, ("SUBSCRIPTION", \.name), ("NODE", \.node), ("HANDLED/S", { TopReport.text($0.handledPerSecond) }),
            ("QUEUED", { "\($0.queued)" }), ("LOST", { "\($0.lost)" }))
    }

    private var headline: String {
        let handled = nodes.compactMap(\.handledPerSecond)
        let rate = handled.isEmpty ? "" : ", \(TopReport.text(handled.reduce(0, +))) handled/s"
        return "cluster \(cluster): \(nodes.count) nodes\(rate)"
    }

    private static func text(_ rate: Double?) -> String {
        guard let rate else { return "-" }
        return rate >= 100 ? "\(Int(rate))" : "\(rate)"
    }
}
