import LLMgineCore
import Synchronization

/// The open sessions of a bus and their command handlers.
final class SessionTable: Sendable {
    private struct Entry {
        let session: BusSession
        var handlers: [String: CommandRegistration] = [:]
    }

    private struct State {
        var entries: [SessionID: Entry] = [:]
        var next: UInt64 = 0
    }

    private let state = Mutex(State())

    var count: Int { state.withLock { $0.entries.count } }
    var handlerCount: Int { state.withLock { $0.entries.values.reduce(0) { $0 + $1.handlers.count } } }

    /// Opens a session under the name, or under one that the number is made into.
    func open(_ make: (_ number: UInt64) -> BusSession) throws(LLMgineError) -> BusSession {
        let (session, isNew) = state.withLock { state in
            state.next += 1
            let session = make(state.next)
            guard state.entries[session.id] == nil else { return (session, false) }
            state.entries[session.id] = Entry(session: session)
            return (session, true)
        }
        guard isNew else { throw LLMgineError(.invalidArgument, "a session \"\(session.id.name.printable)\" is open on this bus already") }
        return session
    }

    /// The session's handlers are gone and its name is free.
    func close(_ session: BusSession) {
        state.withLock { state in
            if state.entries[session.id]?.session === session { state.entries[session.id] = nil }
        }
    }

    var sessions: [BusSession] { state.withLock { $0.entries.values.map(\.session) } }

    func handler(of commandType: String, in session: SessionID) -> CommandRegistration? {
        state.withLock { $0.entries[session]?.handlers[commandType] }
    }

    func add(_ handler: CommandRegistration) throws(LLMgineError) {
        let fault: LLMgineError? = state.withLock { state in
            guard let entry = state.entries[handler.session], entry.session.isActive else {
                return LLMgineError(.stopped, "the session \(handler.session) has ended")
            }
            guard entry.handlers[handler.commandType] == nil else {
                return LLMgineError(.duplicateHandler, "the session \(handler.session) has a handler for \(handler.commandType) already")
            }
            state.entries[handler.session]?.handlers[handler.commandType] = handler
            return nil
        }
        if let fault { throw fault }
    }

    func remove(_ handler: CommandRegistration) {
        state.withLock { state in
            if state.entries[handler.session]?.handlers[handler.commandType] === handler {
                state.entries[handler.session]?.handlers[handler.commandType] = nil
            }
        }
    }
}
