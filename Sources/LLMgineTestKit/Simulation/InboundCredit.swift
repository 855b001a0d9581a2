import LLMgineCore
import LLMgineFlow
import LLMgineWire

/// The subscriber's end of one flow: `InboundFlow` of the node.
final class InboundFlowCredit {
    /// What the peer is told with the subscription.
    let firstWindow: Credit
    private(set) var classes: [InboundCredit] = []
    private unowned let node: SimulatedNode
    private var isClosed = false

    init(flow: UInt32, target: Credit, link: SimulatedLink) {
        node = link.node
        let isReserved = node.budget.open(CreditLedger.share(target) * 4)
        firstWindow = isReserved ? CreditLedger.firstWindow(target) : .none
        classes = Priority.allCases.map { priority in
            InboundCredit(
                flow: flow, priority: priority, ledger: CreditLedger(target: target, isCold: !isReserved), told: firstWindow, link: link)
        }
    }

    /// What nobody may do: counts go on where they were on another link.
    init(_ old: InboundFlowCredit, continuedOver link: SimulatedLink) {
        node = link.node
        firstWindow = old.firstWindow
        classes = old.classes.map { InboundCredit($0, told: old.firstWindow, continuedOver: link) }
    }

    func account(_ priority: Priority) -> InboundCredit { classes[Int(priority.rawValue)] }

    /// A second has passed.
    func ticked() { for account in classes { account.ticked() } }

    /// Nothing more comes.
    func closed() {
        guard !isClosed else { return }
        isClosed = true
        for account in classes { account.closed() }
    }

    /// What it counts for in the budget of its node.
    var held: UInt64 { classes.reduce(0) { $0 + $1.ledger.held } }
}

/// One class of a flow: `InboundClass` of the node.
final class InboundCredit {
    private let flow: UInt32
    private let priority: Priority
    private unowned let link: SimulatedLink
    private weak var node: SimulatedNode?
    private(set) var ledger: CreditLedger
    /// What the peer was told on the wire, and what came: counted apart from the ledger.
    private var told: Credit
    private var came = Credit.none
    /// Whether another account has taken over what it counts for in the budget.
    private var isContinued = false

    init(flow: UInt32, priority: Priority, ledger: CreditLedger, told: Credit, link: SimulatedLink) {
        self.flow = flow
        self.priority = priority
        self.ledger = ledger
        self.told = told
        self.link = link
        node = link.node
    }

    deinit {
        // What was queued and never handed back is gone as well.
        if let node, !isContinued { ledger.forgotten(in: &node.budget) }
    }

    convenience init(_ old: InboundCredit, told: Credit, continuedOver link: SimulatedLink) {
        self.init(flow: old.flow, priority: old.priority, ledger: old.ledger, told: told, link: link)
        old.isContinued = true
    }

    func received(messages: Int, bytes: Int) throws(LLMgineError) {
        came.messages += UInt64(messages)
        came.bytes += UInt64(bytes)
        if came.messages > told.messages || came.bytes > told.bytes {
            link.simulation.fault("\(link.peer.name) sent \(came) on flow \(flow) of \(link.node.name), granted were \(told)")
        }
        try ledger.received(messages: messages, bytes: bytes)
    }

    func consumed(messages: Int, bytes: Int) {
        let messages = link.isBroken == .leaksCredit && messages > 0 ? messages - 1 : messages
        if ledger.consumed(messages: messages, bytes: bytes) { refill() }
    }

    func blocked(_ frame: BlockedFrame) throws(LLMgineError) {
        try ledger.blocked(
            at: Credit(messages: frame.atMessages, bytes: frame.atBytes), next: frame.nextBytes,
            waiting: Credit(messages: frame.waitingMessages, bytes: frame.waitingBytes))
        refill()
    }

    func drained(_ frame: DrainedFrame) throws(LLMgineError) {
        try ledger.drained(at: Credit(messages: frame.atMessages, bytes: frame.atBytes))
        // What was given back counts as sent.
        came = Credit(messages: frame.atMessages, bytes: frame.atBytes)
        refill()
    }

    func ticked() {
        guard ledger.ticked(idleAfter: 10, in: &link.node.budget) else { return }
        link.send(.drain(DrainFrame(flow: flow, priority: priority)))
    }

    func closed() { ledger.closed(in: &link.node.budget) }

    private func refill() {
        let before = ledger.granted
        guard let grant = ledger.refilled(from: &link.node.budget).grant else { return }
        send(grant, before: before)
    }

    private func send(_ grant: Credit, before: Credit) {
        var grant = grant
        if link.isBroken == .grantsTwice { grant.messages += ledger.window.messages }
        if link.isBroken == .grantsRelative { grant.messages -= min(grant.messages, before.messages) }
        told.messages = max(told.messages, grant.messages)
        told.bytes = max(told.bytes, grant.bytes)
        link.send(.grant(GrantFrame(flow: flow, priority: priority, maximumMessages: grant.messages, maximumBytes: grant.bytes)))
    }
}
