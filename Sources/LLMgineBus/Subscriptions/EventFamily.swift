public import LLMgineCore

import struct NIOCore.ByteBuffer

/// Several event types that one handler takes as what they have in common: usually a protocol that all of them conform to.
///
/// An event is routed by its topic and its own type, so a handler of a protocol must say which types it means: Swift cannot list those that
/// conform, and bytes from another node must be decoded as one of them. Events of a type that is not in the family do not reach its
/// handlers. All types of a family share one queue, so their order is kept.
///
/// ```swift
/// protocol OrderEvent: Event { var order: Int { get } }
///
/// let orders = EventFamily<any OrderEvent>()
///     .including(OrderPlaced.self) { $0 }
///     .including(OrderShipped.self) { $0 }
/// try await bus.subscribe(to: orders) { event, context in print(event.order, context.topic) }
/// ```
public struct EventFamily<Member: Sendable>: Sendable {
    private struct Kind: Sendable {
        let topic: Topic
        let lift: @Sendable (any Event) -> Member?
        let decode: @Sendable (ByteBuffer) throws -> Member
    }

    private var kinds: [String: Kind] = [:]

    /// A family of no types.
    public init() {}

    /// The family with one more type.
    /// - Parameter lift: makes what handlers take of an event of the type. Where that is a protocol of the type, `{ $0 }`.
    public func including<E: Event>(_ type: E.Type, as lift: @escaping @Sendable (E) -> Member) -> EventFamily {
        var family = self
        family.kinds[E.eventType] = Kind(topic: E.topic, lift: { ($0 as? E).map(lift) }, decode: { lift(try E(decoding: $0)) })
        return family
    }

    /// The wire names of the types.
    public var eventTypes: Set<String> { Set(kinds.keys) }

    /// The topics of the types, each once.
    var filters: [TopicFilter] { Set(kinds.values.map(\.topic)).sorted().map { TopicFilter($0) } }

    var form: ValueForm<Member> {
        ValueForm(
            eventType: nil,
            decode: { [kinds] message in
                guard let kind = message.eventType.flatMap({ kinds[$0] }) else {
                    throw LLMgineError(.badPayload, "an event of the type \(message.eventType ?? "nil") is not in the family")
                }
                return try kind.decode(message.payload)
            },
            encode: { member, payload in
                guard let event = member as? any Event else { throw LLMgineError(.badPayload, "a \(type(of: member)) is no event") }
                try event.encode(into: &payload)
            },
            members: eventTypes,
            lift: { [kinds] event in kinds[type(of: event).eventType]?.lift(event) },
            nameOf: { ($0 as? any Event).map { type(of: $0).eventType } })
    }
}

extension MessageBus {
    /// Calls the handler for each event of the family that is published to the topics of its types, or to those that the filters match.
    /// - Parameter filters: default: the types' own topics, of which there may be 16.
    /// - Throws: `stopped`, `permissionDenied`, `invalidArgument` for a family without types or with too many topics, and for a queue that no
    ///   subscription may have.
    @discardableResult
    public func subscribe<Member: Sendable>(
        to family: EventFamily<Member>, on filters: [TopicFilter]? = nil, options: SubscriptionOptions = SubscriptionOptions(),
        handler: @escaping @Sendable (Member, EventContext) async throws -> Void
    ) async throws(LLMgineError) -> Subscription {
        try add(filters ?? family.filters, options: options, form: family.form, handler: handler)
    }
}
