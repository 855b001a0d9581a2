import LLMgineBus
import LLMgineCore
import LLMgineResilience
import Synchronization

/// A store without a disk, which tells what it was told and fails when it is told to.
final class MemoryStore: BusStore {
    fileprivate struct State {
        var contents: StoreContents
        var told: [String] = []
        var fails = false
    }

    private let state: Mutex<State>
    /// Open unless a test closes it.
    let flushes = Turnstile()
    /// Opens when somebody flushes.
    let flushing = Gate()

    init(_ contents: StoreContents = StoreContents()) { state = Mutex(State(contents: contents)) }

    /// One word a change, in order.
    var told: [String] { state.withLock { $0.told } }
    var fails: Bool {
        get { state.withLock { $0.fails } }
        set { state.withLock { $0.fails = newValue } }
    }
    /// What is kept now.
    var contents: StoreContents { state.withLock { $0.contents } }

    /// What a process that starts now would find.
    var nextLife: MemoryStore { MemoryStore(contents) }

    func takeContents() -> StoreContents { contents }
    func note(_ change: StoreChange) { state.withLock { $0.apply(change) } }
    func flush() async {
        flushing.open()
        await flushes.pass()
    }
    var lost: UInt64 { fails ? 1 : 0 }

    func keep(_ change: StoreChange) async throws(LLMgineError) {
        if fails { throw LLMgineError(.storageFailed, "the disk is full") }
        note(change)
    }
}

extension MemoryStore.State {
    fileprivate mutating func apply(_ change: StoreChange) {
        switch change {
        case .scheduled(let event):
            told.append("scheduled")
            contents.scheduled.append(event)
        case .unscheduled(let id):
            told.append("unscheduled")
            contents.scheduled.removeAll { $0.id == id }
        case .approval(let approval):
            told.append(approval.outcome?.status.rawValue ?? "asked")
            contents.approvals.removeAll { $0.id == approval.id }
            contents.approvals.append(approval)
        case .approvalGone(let id):
            told.append("announced")
            contents.approvals.removeAll { $0.id == id }
        case .deadLetter(let letter):
            told.append("letter \(letter.id)")
            contents.deadLetters.append(letter)
        case .deadLetterGone(let id):
            told.append("gone \(id)")
            contents.deadLetters.removeAll { $0.id == id }
        }
    }
}

/// A gate that is open at first, and can be closed.
final class Turnstile: Sendable {
    private let gate = Mutex<Gate?>(nil)

    func close() { gate.withLock { $0 = Gate() } }
    func open() { gate.withLock { $0.take() }?.open() }
    func pass() async { await gate.withLock { $0 }?.pass() }
}
