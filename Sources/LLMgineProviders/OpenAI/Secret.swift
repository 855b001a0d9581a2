/// A key that can be used and not seen: it prints as dots, and it is taken out of texts that others wrote.
package struct Secret: Sendable, CustomStringConvertible, CustomReflectable {
    /// The key, for the header.
    package let value: String

    package init(_ value: String) { self.value = value }

    package var description: String { "***" }
    package var customMirror: Mirror { Mirror(self, children: []) }

    /// The text without the key, wherever a server echoed it.
    package func redacted(from text: String) -> String {
        guard value.count >= 4 else { return text }
        return text.split(separator: value, omittingEmptySubsequences: false).joined(separator: "***")
    }
}
