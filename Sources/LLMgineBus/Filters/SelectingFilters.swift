public import LLMgineCore

/// Lets events of some sessions through.
///
/// A session that is excluded is stopped; otherwise, if any are included, only those go on. The bus itself is the session ``SessionID/bus``.
public struct SessionFilter: EventFilter {
    /// Only these, unless empty.
    public let include: Set<SessionID>
    /// None of these.
    public let exclude: Set<SessionID>

    /// Makes a filter that by default stops nothing.
    public init(include: Set<SessionID> = [], exclude: Set<SessionID> = []) {
        self.include = include
        self.exclude = exclude
    }

    /// Whether the event's session is wanted.
    public func shouldHandle(_ event: PublishedEvent) -> Bool {
        !exclude.contains(event.session) && (include.isEmpty || include.contains(event.session))
    }
}

/// Lets events of some types through, by their wire names.
///
/// A type that is excluded is stopped; otherwise, if any are included, only those go on. Bytes without a type are none of them.
public struct EventTypeFilter: EventFilter {
    /// Only these, unless empty.
    public let include: Set<String>
    /// None of these.
    public let exclude: Set<String>

    /// Makes a filter that by default stops nothing.
    public init(include: [any Event.Type] = [], exclude: [any Event.Type] = []) {
        self.init(includeNames: Set(include.map { $0.eventType }), excludeNames: Set(exclude.map { $0.eventType }))
    }

    /// The same by name, for types that this program does not have.
    public init(includeNames: Set<String>, excludeNames: Set<String> = []) {
        include = includeNames
        exclude = excludeNames
    }

    /// Whether the event's type is wanted.
    public func shouldHandle(_ event: PublishedEvent) -> Bool {
        guard let type = event.eventType else { return include.isEmpty }
        return !exclude.contains(type) && (include.isEmpty || include.contains(type))
    }
}

/// Lets events through that carry certain headers: what the metadata of an event is here.
public struct MetadataFilter: EventFilter {
    /// Headers that must be there.
    public let requiredKeys: Set<String>
    /// Headers that must be there with this value.
    public let requiredValues: [String: String]

    /// Makes a filter that by default stops nothing.
    public init(requiredKeys: Set<String> = [], requiredValues: [String: String] = [:]) {
        self.requiredKeys = requiredKeys
        self.requiredValues = requiredValues
    }

    /// Whether the event has them all.
    public func shouldHandle(_ event: PublishedEvent) -> Bool {
        requiredKeys.allSatisfy { event.headers[$0] != nil } && requiredValues.allSatisfy { event.headers[$0.key] == $0.value }
    }
}

/// Joins filters: all of them must agree, or one of them.
public struct CompositeFilter: EventFilter {
    /// What is asked, in order, until the answer is known.
    public let filters: [any EventFilter]
    /// Whether all must agree. Default true; else one is enough.
    public let requiresAll: Bool

    /// Joins filters. None at all stop nothing.
    public init(_ filters: [any EventFilter], requiresAll: Bool = true) {
        self.filters = filters
        self.requiresAll = requiresAll
    }

    /// Whether they agree. - Throws: what one of them throws.
    public func shouldHandle(_ event: PublishedEvent) throws -> Bool {
        guard !filters.isEmpty else { return true }
        return requiresAll ? try filters.allSatisfy { try $0.shouldHandle(event) } : try filters.contains { try $0.shouldHandle(event) }
    }
}

/// Stops nothing and tells of everything: which event, of which type, session and class. Never its content.
public struct DebugFilter: EventFilter {
    /// Whether it tells.
    public let isEnabled: Bool
    private let log: @Sendable (String) -> Void

    /// Makes a filter that tells `log` one line an event.
    public init(isEnabled: Bool = true, log: @escaping @Sendable (String) -> Void) {
        self.isEnabled = isEnabled
        self.log = log
    }

    /// True.
    public func shouldHandle(_ event: PublishedEvent) -> Bool {
        if isEnabled {
            log("\(event.eventType ?? "bytes") on \(event.topic), session \(event.session), priority \(event.priority)")
        }
        return true
    }
}
