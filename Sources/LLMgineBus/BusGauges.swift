import LLMgineCore
import LLMgineObservability
import LLMgineResilience
import Synchronization

/// What is measured by looking, when somebody looks: publishers and handlers pay nothing for it.
extension MessageBus {
    func observeGauges() {
        let metrics = services.metrics
        metrics.observe(.eventsPublished) { [weak self] in Double(self?.sequence.load(ordering: .relaxed) ?? 0) }
        metrics.observe(.deadLetterQueueSize) { [weak self] in Double(self?.deadLetters.count ?? 0) }
        metrics.observe(.backpressureActive) { [weak self] in self?.isHoldingPublishersBack ?? false ? 1 : 0 }
        metrics.observe(.registeredHandlers) { [weak self] in
            guard let self else { return 0 }
            return Double(registry.withLock { $0.subscriptions.count + $0.commandHandlers.count } + sessions.handlerCount)
        }
        metrics.observe(.activeSessions) { [weak self] in Double(self?.sessionCount ?? 0) }
        observeJournal()
    }

    /// Gauges of all subscriptions of a name.
    func observeGauges(of name: String) {
        let labels = [MetricsRegistry.Label("handler", name)]
        services.metrics.observe(.queueSize, labels: labels) { [weak self] in
            Double(self?.subscribers(named: name).reduce(0) { $0 + max(0, $1.mailbox.count) } ?? 0)
        }
        services.metrics.observe(.circuitBreakerState, labels: labels) { [weak self] in
            self?.subscribers(named: name).map(\.breaker.state.number).max() ?? 0
        }
        services.metrics.observe(.backpressureActive, labels: labels) { [weak self] in
            self?.subscribers(named: name).contains { $0.mailbox.metrics.isBackpressureActive } ?? false ? 1 : 0
        }
    }

    /// The breaker of a command's handler on this node, for as long as it has one.
    func observeBreaker(ofCommand type: String) {
        services.metrics.observe(.circuitBreakerState, labels: [.init("command", type)]) { [weak self] in
            self?.registry.withLock { $0.commandHandlers[type] }?.breaker.state.number ?? 0
        }
    }

    func forgetBreaker(ofCommand type: String) {
        services.metrics.remove(.circuitBreakerState, labels: [.init("command", type)])
    }

    /// Forgets them with the last subscription of the name. What it counted stays, in places that others may have.
    func forgetGauges(of name: String) {
        let labels = [MetricsRegistry.Label("handler", name)]
        services.metrics.remove(.queueSize, labels: labels)
        services.metrics.remove(.circuitBreakerState, labels: labels)
        services.metrics.remove(.backpressureActive, labels: labels)
        for instrument in HandlerMeters.eventInstruments + QueueMeters.instruments + [.eventsRepeated] {
            services.metrics.retire(instrument, labels: labels)
        }
    }

    func subscribers(named name: String) -> [AnySubscriber] {
        registry.withLock { registry in (registry.named[name] ?? []).compactMap { registry.subscriptions[$0]?.subscriber } }
    }

    /// Puts a dead letter back into the queue of a subscription of the name that failed, if there is room and the rules of today allow it. The token is
    /// settled when it is done with.
    func redeliver(_ letter: DeadLetter, _ token: DeliveryToken) -> Bool {
        if let rules = router.rules, !rules.replay(letter.message.node, letter.content.topic) {
            noteDenied("replay", of: letter.message.node)
            return false
        }
        if letter.command != nil { return executeAgain(letter, token) }
        if letter.isOfSchedule { return scheduleAgain(letter, token) }
        let extras = MessageExtras(headers: letter.content.headers, trace: letter.content.trace, expires: nil, token: token)
        for subscriber in subscribers(named: letter.subscription) where subscriber.mailbox.room > 0 && letter.encodingError == nil {
            let offer = subscriber.mailbox.offer(
                EncodedMessage(letter.content, trial: Trial(letter)), sequence: letter.message.sequence, extras: extras)
            if case .accepted = offer { return true }
        }
        return false
    }
}

extension BreakerState {
    /// As the metric counts them.
    fileprivate var number: Double {
        switch self {
        case .closed: 0
        case .open: 1
        case .halfOpen: 2
        }
    }
}
