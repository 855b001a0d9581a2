import LLMgineCore

/// A command handler whatever its type.
package protocol AnyCommandHandler: Sendable {}
