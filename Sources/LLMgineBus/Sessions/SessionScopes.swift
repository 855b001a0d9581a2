import LLMgineCore
import Synchronization

/// The subscriptions that see one session only.
///
/// They stand beside the trie: an event of another session, or of none, never meets them, and one that comes or goes leaves the cached
/// routes of everybody else as they are. A session's own routes are made from those of the bus and hold as long as these do.
final class SessionScopes: Sendable {
    private struct Scope {
        var subscribers: [AnySubscriber] = []
        /// By topic: the bus's route, and what the session makes of it.
        var routes: [Topic: (base: Route, route: Route)] = [:]
    }

    /// Routes that one session remembers.
    private static let remembered = 64

    private let scopes = Mutex<[SessionID: Scope]>([:])
    private let count = Atomic<Int>(0)

    /// Whether any session has subscriptions: one relaxed load.
    @inline(__always) var isEmpty: Bool { count.load(ordering: .relaxed) == 0 }

    func add(_ subscriber: AnySubscriber) {
        scopes.withLock { scopes in
            scopes[subscriber.options.session, default: Scope()].subscribers.append(subscriber)
            scopes[subscriber.options.session]?.routes.removeAll()
            count.store(scopes.count, ordering: .relaxed)
        }
    }

    func remove(_ subscriber: AnySubscriber) {
        scopes.withLock { scopes in
            guard var scope = scopes.removeValue(forKey: subscriber.options.session) else { return }
            scope.subscribers.removeAll { $0 === subscriber }
            scope.routes.removeAll()
            if !scope.subscribers.isEmpty { scopes[subscriber.options.session] = scope }
            count.store(scopes.count, ordering: .relaxed)
        }
    }

    func subscribers(of session: SessionID) -> [AnySubscriber] { scopes.withLock { $0[session]?.subscribers ?? [] } }

    /// Where an event of the session goes, if the bus would send it along the given route.
    func route(for topic: Topic, in session: SessionID, over base: Route) -> Route {
        guard session != .bus, base.isOpen else { return base }
        return scopes.withLock { scopes in
            guard let index = scopes.index(forKey: session) else { return base }
            if let known = scopes.values[index].routes[topic], known.base === base { return known.route }
            let route = base.joined(by: scopes.values[index].subscribers.filter { $0.filters.contains { $0.matches(topic) } })
            if scopes.values[index].routes.count >= SessionScopes.remembered { scopes.values[index].routes.removeAll() }
            scopes.values[index].routes[topic] = (base, route)
            return route
        }
    }
}

extension Route {
    /// The route with more subscriptions of this node.
    fileprivate func joined(by subscribers: [AnySubscriber]) -> Route {
        guard !subscribers.isEmpty else { return self }
        var groups = groups
        for subscriber in subscribers {
            guard !isRelayed, let name = subscriber.options.group else { continue }
            if let index = groups.firstIndex(where: { $0.name == name }) {
                groups[index] = RouteGroup(name: name, locals: groups[index].locals + [subscriber], remotes: groups[index].remotes)
            } else {
                groups.append(RouteGroup(name: name, locals: [subscriber], remotes: []))
            }
        }
        let locals = locals + subscribers.filter { $0.options.group == nil }
        return Route(
            locals: locals.sorted(by: AnySubscriber.isOfferedBefore), remotes: remotes, groups: groups, filters: filters, refusal: refusal,
            isRelayed: isRelayed)
    }
}
