/// Something that happened. It has 0 to N handlers, anywhere in the cluster.
///
/// ```swift
/// struct OrderPlaced: Event {
///     var id: Int
/// }
/// ```
public protocol Event: Payload, Codable {
    /// The name of the type on the wire, by default the Swift type name. Give it when the Swift type is renamed.
    static var eventType: String { get }
    /// Where it is published when the caller names no topic, by default `events.<eventType>`.
    static var topic: Topic { get }
}

extension Event {
    /// The Swift type name without its module.
    public static var eventType: String { String(describing: Self.self) }
    /// `events.<eventType>`, with what a topic may not hold replaced by `_`.
    public static var topic: Topic { Topic(typeName: eventType, under: "events") }
}

/// Something to be done, by exactly one handler, which answers with a ``CommandResult``.
public protocol Command: Payload, Codable {
    /// The name of the type on the wire, by default the Swift type name.
    static var commandType: String { get }
}

extension Command {
    /// The Swift type name without its module.
    public static var commandType: String { String(describing: Self.self) }
}

extension Topic {
    /// A topic for a Swift type: generic brackets and spaces become `_`, and what is too long is cut.
    package init(typeName: String, under prefix: StaticString) {
        var token = ""
        for character in typeName.unicodeScalars where token.utf8.count < 200 {
            let allowed =
                character.properties.isAlphabetic || character.properties.numericType != nil || character == "_" || character == "-"
            token.unicodeScalars.append(allowed ? character : "_")
        }
        self = Topic(stringLiteral: "\(prefix).\(token.isEmpty ? "_" : token)")
    }
}
