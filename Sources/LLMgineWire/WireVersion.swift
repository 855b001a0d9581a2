/// What a node speaks: the version of the wire, which is not the version of the library.
package enum WireVersion {
    /// The versions that this build speaks. The higher end of what two nodes share is used.
    package static let supported: ClosedRange<UInt32> = 1...1

    /// `LLMG`, the first four bytes of a HELLO's body: what does not start so is not one of ours.
    package static let magic: UInt32 = 0x4C4C_4D47

    /// The highest version that both ranges hold, or nil.
    package static func common(_ one: ClosedRange<UInt32>, _ other: ClosedRange<UInt32>) -> UInt32? {
        let highest = min(one.upperBound, other.upperBound)
        return highest >= max(one.lowerBound, other.lowerBound) ? highest : nil
    }
}

/// Abilities beyond the base protocol, one bit each. A link uses what both ends announce; bits nobody here knows are ignored.
///
/// A frame or field that not every build of a version understands gets its bit here first.
package struct WireFeatures: OptionSet, Sendable, Hashable {
    package let rawValue: UInt64
    package init(rawValue: UInt64) { self.rawValue = rawValue }

    /// A link can change over to another connection: MOVED and RENEW.
    package static let moving = WireFeatures(rawValue: 1 << 0)
    /// Frames can come in COMPRESSED. Offered only where the settings ask for it.
    package static let compression = WireFeatures(rawValue: 1 << 1)

    /// Subscriptions may ask for policies beyond `block`, `dropOldest` and `rejectNew`. To a peer without it they ask for what comes nearest.
    package static let policies = WireFeatures(rawValue: 1 << 2)

    /// Long requests and replies come in CALL_PART. A peer without it gets each as one frame.
    package static let callParts = WireFeatures(rawValue: 1 << 3)

    /// What this build offers everywhere.
    package static let supported: WireFeatures = [.moving, .policies, .callParts]
}
