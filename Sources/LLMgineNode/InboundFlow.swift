import LLMgineBus
import LLMgineCore
import LLMgineFlow
import LLMgineTransport
import LLMgineWire
import Synchronization

/// The subscriber's end of one flow: one account for each class in which something has come.
final class InboundFlow: Sendable {
    private let flow: UInt32
    private let window: Credit
    private let connection: LinkConnection
    private let classes = Mutex(InlineArray<4, InboundClass?>(repeating: nil))

    init(flow: UInt32, window: Credit, connection: LinkConnection) {
        self.flow = flow
        self.window = window
        self.connection = connection
    }

    /// The account of a class.
    func account(_ priority: Priority) -> InboundClass {
        classes.withLock { classes in
            let index = Int(priority.rawValue)
            if let known = classes[index] { return known }
            let account = InboundClass(flow: flow, priority: priority, window: window, connection: connection)
            classes[index] = account
            return account
        }
    }
}

/// One class of a flow: turns what the handler is done with into grants.
final class InboundClass: CreditReturn {
    private let flow: UInt32
    private let priority: Priority
    private let connection: LinkConnection
    private let ledger: Mutex<CreditLedger>

    init(flow: UInt32, priority: Priority, window: Credit, connection: LinkConnection) {
        self.flow = flow
        self.priority = priority
        self.connection = connection
        self.ledger = Mutex(CreditLedger(window: window))
    }

    /// - Throws: `creditOverdrawn`.
    func received(messages: Int, bytes: Int) throws(LLMgineError) {
        let result = ledger.withLock { ledger -> Result<Void, LLMgineError> in
            do throws(LLMgineError) { return .success(try ledger.received(messages: messages, bytes: bytes)) } catch {
                return .failure(error)
            }
        }
        try result.get()
    }

    func consumed(messages: Int, bytes: Int) {
        guard let grant = ledger.withLock({ $0.consumed(messages: messages, bytes: bytes) }) else { return }
        send(grant)
    }

    /// The publisher says that it cannot go on.
    func blocked() { send(ledger.withLock { $0.blocked() }) }

    private func send(_ grant: Credit) {
        connection.send(
            .grant(GrantFrame(flow: flow, priority: priority, maximumMessages: grant.messages, maximumBytes: grant.bytes)))
    }
}
