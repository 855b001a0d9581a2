import LLMgineCore
import LLMgineFlow
import LLMgineTestKit
import Testing

/// Many publishers, one subscriber's node: random sending, handling, idling, closing, with frames that take their time.
@Suite struct `Credit under random use` {
    @Test(arguments: 1...40 as ClosedRange<UInt64>)
    func `stays within the budget, is never overdrawn, leaks nothing and stops nobody`(seed: UInt64) throws {
        var life = RandomLife(seed: seed)
        for _ in 0..<3000 { try life.step() }
        try life.quiet()
        #expect(life.handled > 150, "seed \(seed): nothing much happened")
    }
}

private struct RandomLife {
    /// One class of one flow: the publisher's purse and line, what is under way both ways, and the subscriber's ledger and queue.
    struct Flow {
        var purse: CreditPurse
        var ledger: CreditLedger
        var line: [Int] = []
        var saidBlocked = false
        var toSubscriber: [Signal] = []
        var toPublisher: [Answer] = []
        var queue: [Int] = []
        var isFrozen = false
        var lacks: UInt64?
    }

    enum Signal { case data(Int), blocked(Credit, Int, Credit), drained(Credit) }
    enum Answer { case grant(Credit), drain }

    static let target = Credit(messages: 40, bytes: 60_000)
    static let largest = 30_000

    let seed: UInt64
    var random: SeededGenerator
    var budget: CreditBudget
    var flows: [Flow] = []
    var line: [Int] = []
    var handled = 0

    init(seed: UInt64) {
        self.seed = seed
        random = SeededGenerator(seed: seed)
        budget = CreditBudget(bytes: .random(in: 100_000...400_000, using: &random))
        for _ in 0..<Int.random(in: 2...12, using: &random) { flows.append(open()) }
    }

    private mutating func open() -> Flow {
        let isReserved = budget.open(CreditLedger.share(Self.target))
        let ledger = CreditLedger(target: Self.target, isCold: !isReserved)
        return Flow(purse: CreditPurse(granted: ledger.granted), ledger: ledger)
    }

    mutating func step() throws {
        let index = Int.random(in: 0..<flows.count, using: &random)
        switch Int.random(in: 0..<100, using: &random) {
        case 0..<30:
            let isLarge = Int.random(in: 0..<20, using: &random) == 0
            if flows[index].line.count < 50 { flows[index].line.append(.random(in: 0...(isLarge ? Self.largest : 500), using: &random)) }
            publish(index)
        case 30..<55: try arrive(index)
        case 55..<75: answer(index)
        case 75..<93: if !flows[index].isFrozen { handle(index) }
        case 93..<95: flows[index].isFrozen.toggle()
        case 95..<99: for other in flows.indices { tick(other) }
        default:
            // The link breaks; what was queued is handled later, or never.
            flows[index].ledger.closed(in: &budget)
            line.removeAll { $0 == index }
            for _ in 0..<Int.random(in: 0...flows[index].queue.count, using: &random) { handle(index) }
            flows[index].ledger.forgotten(in: &budget)
            flows[index] = open()
        }
        serve()
        check()
    }

    /// Publishers stop, handlers go on: everything is delivered, and what was lent comes back.
    mutating func quiet() throws {
        for index in flows.indices { flows[index].isFrozen = false }
        for round in 0..<2000 where !isQuiet {
            for index in flows.indices {
                publish(index)
                try arrive(index)
                answer(index)
                handle(index)
                serve()
            }
            // Idle ones give back what others wait for.
            if round % 10 == 9 { for index in flows.indices { tick(index) } }
            check()
        }
        for index in flows.indices {
            #expect(flows[index].line.isEmpty, "seed \(seed): flow \(index) is stuck with \(flows[index].line.count) messages")
            #expect(flows[index].queue.isEmpty)
        }
        for _ in 0..<12 {
            for index in flows.indices {
                tick(index)
                answer(index)
                try arrive(index)
                answer(index)
            }
        }
        #expect(budget.floating == 0, "seed \(seed): \(budget.floating) bytes were not given back")
        for index in flows.indices {
            #expect(flows[index].ledger.queued == .none)
            flows[index].ledger.closed(in: &budget)
        }
        #expect(budget.used == 0, "seed \(seed): \(budget.used) bytes have leaked")
    }

    private var isQuiet: Bool {
        flows.allSatisfy { $0.line.isEmpty && $0.toSubscriber.isEmpty && $0.toPublisher.isEmpty && $0.queue.isEmpty }
    }

    /// What holds at every moment. Not by `#expect`, which costs more than all the rest.
    private func check() {
        var held: UInt64 = 0
        for flow in flows {
            let owed = CreditBudget.charge(flow.ledger.granted.beyond(flow.ledger.consumed))
            if owed > flow.ledger.held { Issue.record("seed \(seed): more is promised or queued than is counted") }
            if flow.purse.sent.beyond(flow.ledger.granted) != .none { Issue.record("seed \(seed): more was sent than granted") }
            held += flow.ledger.held
        }
        if budget.used > budget.bytes { Issue.record("seed \(seed): \(budget.used) bytes of \(budget.bytes)") }
        if held != budget.used { Issue.record("seed \(seed): the budget counts \(budget.used), the flows hold \(held)") }
    }

    // MARK: The publisher

    private mutating func publish(_ index: Int) {
        while let next = flows[index].line.first {
            guard flows[index].purse.spend(messages: 1, bytes: next) else {
                guard !flows[index].saidBlocked else { return }
                flows[index].saidBlocked = true
                let waiting = Credit(
                    messages: UInt64(flows[index].line.count), bytes: UInt64(flows[index].line.reduce(0, +)))
                flows[index].toSubscriber.append(.blocked(flows[index].purse.sent, next, waiting))
                return
            }
            flows[index].line.removeFirst()
            flows[index].toSubscriber.append(.data(next))
        }
    }

    private mutating func answer(_ index: Int) {
        guard !flows[index].toPublisher.isEmpty else { return }
        switch flows[index].toPublisher.removeFirst() {
        case .grant(let limit):
            let before = flows[index].purse.granted
            flows[index].purse.granted(limit)
            if flows[index].purse.granted != before { flows[index].saidBlocked = false }
        case .drain:
            flows[index].toSubscriber.append(.drained(flows[index].purse.giveBack()))
            flows[index].saidBlocked = false
        }
        publish(index)
    }

    // MARK: The subscriber

    private mutating func arrive(_ index: Int) throws {
        guard !flows[index].toSubscriber.isEmpty else { return }
        switch flows[index].toSubscriber.removeFirst() {
        case .data(let bytes):
            try flows[index].ledger.received(messages: 1, bytes: bytes)
            flows[index].queue.append(bytes)
        case .blocked(let at, let next, let waiting):
            try flows[index].ledger.blocked(at: at, next: UInt64(next), waiting: waiting)
            refill(index)
        case .drained(let limit):
            try flows[index].ledger.drained(at: limit)
            refill(index)
        }
    }

    private mutating func handle(_ index: Int) {
        guard !flows[index].queue.isEmpty else { return }
        handled += 1
        if flows[index].ledger.consumed(messages: 1, bytes: flows[index].queue.removeFirst()) { refill(index) }
    }

    private mutating func refill(_ index: Int, isFirst: Bool = false) {
        let before = flows[index].ledger.granted
        let refill = flows[index].ledger.refilled(from: &budget, isFirst: isFirst)
        flows[index].lacks = refill.lacks
        if refill.lacks == nil { line.removeAll { $0 == index } } else if !line.contains(index) { line.append(index) }
        budget.earmarked = line.first.flatMap { flows[$0].lacks } ?? 0
        if let grant = refill.grant {
            #expect(grant.messages >= before.messages && grant.bytes >= before.bytes, "seed \(seed): a grant that shrinks")
            flows[index].toPublisher.append(.grant(grant))
        }
    }

    private mutating func serve() {
        while let first = line.first, let lacks = flows[first].lacks, lacks <= budget.free { refill(first, isFirst: true) }
        budget.earmarked = line.first.flatMap { flows[$0].lacks } ?? 0
    }

    private mutating func tick(_ index: Int) {
        if flows[index].ledger.ticked(idleAfter: 3, in: &budget) { flows[index].toPublisher.append(.drain) }
    }
}
