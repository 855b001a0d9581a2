import Synchronization

extension OTLPSink {
    /// What a sink does to a request instead of taking it: for tests of exporters.
    package enum Fault: Sendable, Hashable {
        /// Takes it.
        case none
        /// Answers with a status and drops the request.
        case answer(Int, retryAfter: String? = nil)
        /// Takes it, and says that it rejected some of it.
        case partialSuccess(rejected: Int, message: String)
        /// Does not answer before ``release(forGood:)``.
        case hang
    }

    /// The next requests meet these faults, one each.
    package func script(_ faults: [Fault]) { state.withLock { $0.faults += faults } }

    /// The next requests are taken again.
    package func clearScript() { state.withLock { $0.faults = [] } }

    /// Lets every held request go; `forGood` lets later ones go too.
    package func release(forGood: Bool = false) {
        let held = state.withLock { state in
            state.isStopping = state.isStopping || forGood
            defer { state.held = [] }
            return state.held
        }
        for continuation in held { continuation.resume() }
    }

    func nextFault() -> Fault {
        state.withLock { $0.faults.isEmpty ? .none : $0.faults.removeFirst() }
    }

    func hold() async {
        await withCheckedContinuation { continuation in
            let passes = state.withLock { state in
                if !state.isStopping { state.held.append(continuation) }
                return state.isStopping
            }
            if passes { continuation.resume() }
        }
    }
}
