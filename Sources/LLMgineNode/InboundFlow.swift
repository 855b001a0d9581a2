import LLMgineBus
import LLMgineCore
import LLMgineFlow
import LLMgineTransport
import LLMgineWire
import Synchronization

/// The subscriber's end of one flow of one link: an account for each class in which something has come.
final class InboundFlow: Sendable {
    let flow: UInt32
    /// What the publisher has been told with the subscription that it may send in each class.
    let firstWindow: Credit
    private let target: Credit
    private let connection: LinkConnection
    private let office: CreditOffice
    /// Whether the budget had an exclusive share for it.
    private let isReserved: Bool
    private let state = Mutex(State())

    private struct State {
        var classes = InlineArray<4, InboundClass?>(repeating: nil)
        var isClosed = false
    }

    /// - Parameter target: the most that may be under way and queued of one class.
    init(flow: UInt32, target: Credit, connection: LinkConnection, office: CreditOffice) {
        self.flow = flow
        self.target = target
        self.connection = connection
        self.office = office
        isReserved = office.change { $0.open(CreditLedger.share(target) * 4) }
        firstWindow = isReserved ? CreditLedger.firstWindow(target) : .none
    }

    deinit { closed() }

    /// The account of a class; nil if the flow is closed.
    func account(_ priority: Priority) -> InboundClass? {
        state.withLock { state in
            let index = Int(priority.rawValue)
            if let known = state.classes[index] { return known }
            guard !state.isClosed else { return nil }
            let account = InboundClass(
                flow: flow, priority: priority, ledger: CreditLedger(target: target, isCold: !isReserved), connection: connection,
                office: office)
            state.classes[index] = account
            return account
        }
    }

    /// Time has passed: publishers that do not use what they were granted are asked to give it back.
    func ticked(idleAfter ticks: Int) {
        let classes = state.withLock { $0.classes }
        for index in 0..<4 { classes[index]?.ticked(idleAfter: ticks) }
    }

    /// Nothing more comes: the link or the subscription is over.
    func closed() {
        let (classes, wasClosed) = state.withLock { state in
            let before = (state.classes, state.isClosed)
            state.isClosed = true
            state.classes = InlineArray(repeating: nil)
            return before
        }
        guard !wasClosed else { return }
        for index in 0..<4 {
            if let account = classes[index] {
                account.closed()
            } else if isReserved {
                office.change { $0.close(CreditLedger.share(target)) }
            }
        }
        office.serve()
    }

    /// What its classes hold and what they have promised.
    var status: (outstanding: Credit, queued: Credit) {
        let classes = state.withLock { $0.classes }
        var status = (outstanding: Credit.none, queued: Credit.none)
        for index in 0..<4 {
            // A class in which nothing has come has its first window before it.
            let ledger = classes[index]?.status ?? (outstanding: firstWindow, queued: .none)
            status.outstanding.messages += ledger.outstanding.messages
            status.outstanding.bytes += ledger.outstanding.bytes
            status.queued.messages += ledger.queued.messages
            status.queued.bytes += ledger.queued.bytes
        }
        return status
    }
}

/// One class of a flow: turns what the handler is done with into grants.
///
/// What is queued keeps it alive after its flow is closed, and with it the memory that it counts for.
final class InboundClass: CreditReturn {
    private let flow: UInt32
    private let priority: Priority
    private let connection: LinkConnection
    private let office: CreditOffice
    private let ledger: Mutex<CreditLedger>

    init(flow: UInt32, priority: Priority, ledger: CreditLedger, connection: LinkConnection, office: CreditOffice) {
        self.flow = flow
        self.priority = priority
        self.connection = connection
        self.office = office
        self.ledger = Mutex(ledger)
    }

    deinit {
        // What was queued and never handed back is gone as well.
        ledger.withLock { ledger in office.change { ledger.forgotten(in: &$0) } }
    }

    /// - Returns: whether what has come will lie here for a while.
    /// - Throws: `creditOverdrawn`.
    @discardableResult
    func received(messages: Int, bytes: Int) throws(LLMgineError) -> Bool {
        try judged { ledger throws(LLMgineError) -> Bool in
            try ledger.received(messages: messages, bytes: bytes)
            return ledger.isBehind
        }
    }

    func consumed(messages: Int, bytes: Int) {
        if ledger.withLock({ $0.consumed(messages: messages, bytes: bytes) }) { refill() }
    }

    /// The publisher says that it cannot go on. - Throws: `creditOverdrawn`.
    func blocked(_ frame: BlockedFrame) throws(LLMgineError) {
        try judged { ledger throws(LLMgineError) -> Void in
            try ledger.blocked(
                at: Credit(messages: frame.atMessages, bytes: frame.atBytes), next: frame.nextBytes,
                waiting: Credit(messages: frame.waitingMessages, bytes: frame.waitingBytes))
        }
        refill()
    }

    /// The publisher has given back what it did not use. - Throws: `creditOverdrawn`, `malformedFrame`.
    func drained(_ frame: DrainedFrame) throws(LLMgineError) {
        try judged { ledger throws(LLMgineError) -> Void in
            try ledger.drained(at: Credit(messages: frame.atMessages, bytes: frame.atBytes))
        }
        refill()
    }

    func ticked(idleAfter ticks: Int) {
        let isIdle = ledger.withLock { ledger in office.change { ledger.ticked(idleAfter: ticks, in: &$0) } }
        if isIdle { connection.send(.drain(DrainFrame(flow: flow, priority: priority))) }
    }

    /// It is the first in line, and there should be enough for it. - Returns: whether there was.
    func served() -> Bool { grant(isFirst: true) }

    func closed() {
        ledger.withLock { ledger in office.change { ledger.closed(in: &$0) } }
        office.asked(self, lacks: nil)
    }

    var status: (outstanding: Credit, queued: Credit) { ledger.withLock { ($0.outstanding, $0.queued) } }

    private func refill() {
        _ = grant(isFirst: false)
        office.serve()
    }

    /// - Returns: false if the publisher's next message still lacks room.
    private func grant(isFirst: Bool) -> Bool {
        let refill = ledger.withLock { ledger in office.change { ledger.refilled(from: &$0, isFirst: isFirst) } }
        office.asked(self, lacks: refill.lacks)
        if let grant = refill.grant {
            connection.send(
                .grant(GrantFrame(flow: flow, priority: priority, maximumMessages: grant.messages, maximumBytes: grant.bytes)))
        }
        return refill.lacks == nil
    }

    private func judged<Answer: Sendable>(
        _ body: (inout CreditLedger) throws(LLMgineError) -> Answer
    ) throws(LLMgineError) -> Answer {
        let result = ledger.withLock { ledger -> Result<Answer, LLMgineError> in
            do throws(LLMgineError) { return .success(try body(&ledger)) } catch { return .failure(error) }
        }
        return try result.get()
    }
}
