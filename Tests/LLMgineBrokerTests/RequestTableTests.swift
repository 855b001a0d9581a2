import LLMgineBroker
import LLMgineCore
import LLMgineRouting
import Testing

/// A table with its actions at hand.
private struct Bench {
    var table: RequestTable
    var next: UInt64 = 0

    init(queueLimit: Int = 100) { table = RequestTable(own: "me", queueLimit: queueLimit) }

    mutating func responder(_ link: UInt64, _ flow: UInt32, node: NodeID, credit: UInt64 = 0, _ filters: TopicFilter...) -> [RequestAction]
    {
        let id = ResponderID(link: LinkID(link), flow: flow)
        table.responderAdded(
            id, node: node, entry: InterestEntry(flow: flow, kind: .responder, filters: filters.isEmpty ? ["llm.>"] : filters))
        return self.credit(link, flow, credit)
    }

    mutating func credit(_ link: UInt64, _ flow: UInt32, _ granted: UInt64) -> [RequestAction] {
        act { $0.creditChanged(ResponderID(link: LinkID(link), flow: flow), granted: granted, into: &$1) }
    }

    mutating func request(
        _ topic: Topic = "llm.x", _ priority: Priority = .normal, deadline: Duration = .seconds(10), excluding: Set<NodeID> = [],
        random: (UInt64, UInt64) = (0, 1), at now: Duration = .zero
    ) -> [RequestAction] {
        next += 1
        let number = next
        return act {
            $0.requestStarted(
                number, topic: topic, priority: priority, deadline: deadline, excluding: excluding, random: random, at: now, into: &$1)
        }
    }

    mutating func act(_ body: (inout RequestTable, inout [RequestAction]) -> Void) -> [RequestAction] {
        var actions: [RequestAction] = []
        body(&table, &actions)
        return actions
    }
}

private func dispatch(_ request: UInt64, _ link: UInt64, _ flow: UInt32, _ node: NodeID) -> RequestAction {
    .dispatch(request, to: ResponderID(link: LinkID(link), flow: flow), node: node)
}

private func fail(_ request: UInt64, _ code: LLMgineError.Code) -> RequestAction { .fail(request, LLMgineError(code, "")) }

@Suite struct `A request` {
    @Test func `fails at once when nobody responds on its topic`() {
        var bench = Bench()
        _ = bench.responder(1, 1, node: "b", credit: 5, "other.>")
        #expect(bench.request() == [fail(1, .noResponders)])
        #expect(bench.table.inFlight == 0)
    }

    @Test func `goes to a local responder with room first`() {
        var bench = Bench()
        _ = bench.responder(1, 1, node: "b", credit: 50)
        _ = bench.responder(0, 2, node: "me", credit: 1)
        #expect(bench.request() == [dispatch(1, 0, 2, "me")])
        #expect(bench.request() == [dispatch(2, 1, 1, "b")])
    }

    @Test func `goes to the one with more room of two picked at random`() {
        var bench = Bench()
        _ = bench.responder(1, 1, node: "b", credit: 2)
        _ = bench.responder(2, 1, node: "c", credit: 3)
        #expect(bench.request(random: (0, 1)) == [dispatch(1, 2, 1, "c")])
        #expect(bench.table.free(ResponderID(link: LinkID(2), flow: 1)) == 2)
        #expect(bench.table.free(ResponderID(link: LinkID(1), flow: 1)) == 2)
    }

    @Test func `waits for room and gets it in the order of class and coming`() {
        var bench = Bench()
        #expect(bench.responder(1, 1, node: "b") == [])
        #expect(bench.request("llm.x", .low) == [.queued(1)])
        #expect(bench.request("llm.y", .normal) == [.queued(2)])
        #expect(bench.request("llm.x", .normal) == [.queued(3)])
        #expect(bench.request("llm.y", .urgent) == [.queued(4)])
        #expect(bench.credit(1, 1, 2) == [dispatch(4, 1, 1, "b"), dispatch(2, 1, 1, "b")])
        #expect(bench.credit(1, 1, 1) == [])
        #expect(bench.credit(1, 1, 4) == [dispatch(3, 1, 1, "b"), dispatch(1, 1, 1, "b")])
        #expect(bench.table.waiting == 0)
        #expect(bench.table.inFlight == 4)
    }

    @Test func `ends once, by its answer or by its deadline`() {
        var bench = Bench()
        _ = bench.responder(1, 1, node: "b", credit: 2)
        _ = bench.request()
        _ = bench.request()
        #expect(bench.table.finished(1) == true)
        #expect(bench.table.finished(1) == false)
        let late = bench.act { $0.ticked(at: .seconds(10), into: &$1) }
        #expect(late == [.cancel(2, at: ResponderID(link: LinkID(1), flow: 1)), fail(2, .deadlineExceeded)])
        #expect(bench.table.finished(2) == false)
        #expect(bench.act { $0.ticked(at: .seconds(99), into: &$1) } == [])
    }

    @Test func `fails for lack of capacity when it never had a responder`() {
        var bench = Bench()
        _ = bench.responder(1, 1, node: "b")
        _ = bench.request(deadline: .seconds(1))
        _ = bench.request(deadline: .milliseconds(500))
        #expect(bench.table.nextDeadline == .milliseconds(500))
        #expect(bench.act { $0.ticked(at: .milliseconds(999), into: &$1) } == [fail(2, .noCapacity)])
        #expect(bench.act { $0.ticked(at: .seconds(1), into: &$1) } == [fail(1, .noCapacity)])
        #expect(bench.credit(1, 1, 5) == [])
        #expect(bench.request(deadline: .seconds(1), at: .seconds(2)) == [fail(3, .deadlineExceeded)])
    }

    @Test func `that could not be sent leaves its slot to whoever waits`() {
        var bench = Bench()
        let id = ResponderID(link: LinkID(1), flow: 1)
        _ = bench.responder(1, 1, node: "b", credit: 2)
        #expect(bench.request() == [dispatch(1, 1, 1, "b")])
        #expect(bench.request() == [dispatch(2, 1, 1, "b")])
        #expect(bench.request() == [.queued(3)])
        #expect(bench.table.finished(1) == true)
        #expect(bench.act { $0.notSent(to: id, into: &$1) } == [dispatch(3, 1, 1, "b")])
        #expect(bench.table.free(id) == 0)
        // Also where its caller gave up before it was sent.
        #expect(bench.act { $0.cancelled(2, into: &$1) } == [.cancel(2, at: id), fail(2, .cancelled)])
        #expect(bench.act { $0.notSent(to: id, into: &$1) } == [])
        #expect(bench.table.free(id) == 1)
        #expect(bench.request() == [dispatch(4, 1, 1, "b")])
        // A slot is never more than given back.
        for _ in 0..<5 { _ = bench.act { $0.notSent(to: id, into: &$1) } }
        #expect(bench.table.free(id) == 2)
        #expect(bench.act { $0.notSent(to: ResponderID(link: LinkID(9), flow: 1), into: &$1) } == [])
    }

    @Test func `reaches its responder only while its caller waits`() {
        var bench = Bench()
        _ = bench.responder(1, 1, node: "b")
        _ = bench.request()
        _ = bench.request()
        #expect(bench.act { $0.cancelled(1, into: &$1) } == [fail(1, .cancelled)])
        #expect(bench.credit(1, 1, 2) == [dispatch(2, 1, 1, "b")])
        #expect(bench.act { $0.cancelled(2, into: &$1) } == [.cancel(2, at: ResponderID(link: LinkID(1), flow: 1)), fail(2, .cancelled)])
        #expect(bench.act { $0.cancelled(2, into: &$1) } == [])
    }

    @Test func `fails when the link to its responder breaks`() {
        var bench = Bench()
        _ = bench.responder(1, 1, node: "b", credit: 2)
        _ = bench.responder(2, 1, node: "c", credit: 0)
        _ = bench.request()
        _ = bench.request()
        _ = bench.request()
        #expect(bench.act { $0.peerLost(LinkID(1), into: &$1) } == [fail(1, .peerLost), fail(2, .peerLost)])
        #expect(bench.act { $0.peerLost(LinkID(2), into: &$1) } == [fail(3, .noResponders)])
        #expect(bench.table.responderCount == 0)
        #expect(bench.table.waiting == 0)
    }

    @Test func `does not go back to a node that it is to avoid`() {
        var bench = Bench()
        _ = bench.responder(1, 1, node: "b", credit: 9)
        #expect(bench.request(excluding: ["b"]) == [fail(1, .noResponders)])
        _ = bench.responder(2, 1, node: "c")
        #expect(bench.request(excluding: ["b"]) == [.queued(2)])
        #expect(bench.credit(1, 1, 10) == [])
        #expect(bench.credit(2, 1, 1) == [dispatch(2, 2, 1, "c")])
        #expect(bench.request(excluding: ["b"]) == [.queued(3)])
        #expect(bench.act { $0.peerLost(LinkID(2), into: &$1) } == [fail(2, .peerLost), fail(3, .noResponders)])
    }

    @Test func `does not go to a node that is leaving`() {
        var bench = Bench()
        _ = bench.responder(1, 1, node: "b", credit: 9)
        _ = bench.request()
        #expect(bench.act { $0.peerDraining(LinkID(1), into: &$1) } == [])
        #expect(bench.request() == [fail(2, .noResponders)])
        #expect(bench.table.finished(1) == true)
    }

    @Test func `stays with a responder that takes nothing new`() {
        var bench = Bench()
        _ = bench.responder(1, 1, node: "b", credit: 1)
        _ = bench.request()
        _ = bench.request()
        #expect(bench.act { $0.responderRemoved(ResponderID(link: LinkID(1), flow: 1), into: &$1) } == [fail(2, .noResponders)])
        #expect(bench.table.isOpen(1))
        #expect(bench.table.finished(1) == true)
    }

    @Test func `is refused when too many wait`() {
        var bench = Bench(queueLimit: 3)
        _ = bench.responder(1, 1, node: "b")
        for _ in 1...3 { _ = bench.request() }
        #expect(bench.request() == [fail(4, .noCapacity)])
        _ = bench.credit(1, 1, 1)
        #expect(bench.request() == [.queued(5)])
    }

    @Test(arguments: [1, 2, 3, 4, 5, 6] as [UInt64])
    func `has exactly one outcome, whatever happens`(seed: UInt64) {
        var random = Seeded(seed)
        var bench = Bench(queueLimit: 40)
        var outcomes: [UInt64: Int] = [:]
        var granted: [UInt64: UInt64] = [:]
        var sent: [UInt64: UInt64] = [:]
        var link: UInt64 = 0
        var live: [UInt64] = []
        for step in 0..<3000 {
            let now = Duration.milliseconds(step)
            var actions: [RequestAction] = []
            switch Int.random(in: 0..<12, using: &random) {
            case 0 where live.count < 4:
                link += 1
                live.append(link)
                actions = bench.responder(link, 1, node: NodeID(stringLiteral: "n\(link % 5)"))
            case 1 where step % 7 == 0 && !live.isEmpty:
                let lost = live.remove(at: Int.random(in: 0..<live.count, using: &random))
                actions = bench.act { $0.peerLost(LinkID(lost), into: &$1) }
            case 2, 3, 4:
                guard let chosen = live.randomElement(using: &random) else { break }
                granted[chosen, default: 0] += UInt64.random(in: 0...2, using: &random)
                actions = bench.credit(chosen, 1, granted[chosen] ?? 0)
            case 5:
                let number = UInt64.random(in: 0...bench.next, using: &random)
                if bench.table.finished(number) { outcomes[number, default: 0] += 1 }
            case 6:
                let number = UInt64.random(in: 0...bench.next, using: &random)
                actions = bench.act { $0.cancelled(number, into: &$1) }
            case 7: actions = bench.act { $0.ticked(at: now, into: &$1) }
            default:
                actions = bench.request(
                    random.next() % 2 == 0 ? "llm.x" : "llm.y", Priority.allCases.randomElement(using: &random) ?? .normal,
                    deadline: now + .milliseconds(Int.random(in: 1...300, using: &random)),
                    excluding: random.next() % 4 == 0 ? ["n1"] : [], random: (random.next(), random.next()), at: now)
            }
            for action in actions {
                switch action {
                case .fail(let request, _): outcomes[request, default: 0] += 1
                case .dispatch(let request, let id, let node):
                    sent[id.link.value, default: 0] += 1
                    #expect(sent[id.link.value, default: 0] <= granted[id.link.value, default: 0], "seed \(seed), step \(step)")
                    #expect(outcomes[request] == nil, "seed \(seed), step \(step), node \(node)")
                case .queued, .cancel: break
                }
            }
        }
        for action in bench.act({ $0.ticked(at: .seconds(1000), into: &$1) }) {
            if case .fail(let request, _) = action { outcomes[request, default: 0] += 1 }
        }
        #expect(outcomes.count == Int(bench.next), "seed \(seed)")
        #expect(outcomes.values.allSatisfy { $0 == 1 }, "seed \(seed)")
        #expect(bench.table.waiting == 0 && bench.table.inFlight == 0, "seed \(seed)")
    }
}
