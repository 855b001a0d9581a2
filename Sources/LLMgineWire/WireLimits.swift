import LLMgineCore

/// The most that a frame may hold. What is past a limit is refused before any memory is taken for it.
package struct WireLimits: Sendable, Hashable {
    /// The most payload bytes of one message, 1 MiB by default.
    package let maximumPayload: Int

    /// The most bytes of one frame after its length field: the payload, and 64 KiB for everything around it.
    package var maximumFrame: Int { maximumPayload + WireLimits.frameOverhead }

    /// Takes a payload limit, brought into `payloadRange`.
    package init(maximumPayload: Int = WireLimits.defaultPayload) {
        self.maximumPayload = min(max(maximumPayload, WireLimits.payloadRange.lowerBound), WireLimits.payloadRange.upperBound)
    }

    /// What a node offers unless it is configured otherwise.
    package static let defaultPayload = 1 << 20
    /// What a node may offer: 1 KiB to 16 MiB.
    package static let payloadRange = 1 << 10...16 << 20
    /// Room in a frame beyond the payload: flows, headers, session, trace.
    package static let frameOverhead = 64 << 10
    /// The most bytes of a frame from a peer that has not yet said who it is.
    package static let handshakeFrame = 16 << 10

    /// Flows that one DATA frame may address.
    package static let flowsPerData = 256
    /// How many times as long as its deflated form a run may be, 100: so what a peer's frames cost stays in proportion to what it sends.
    package static let inflation = 100
    /// Messages that one direction of a link may have under way in fragments.
    package static let openFragments = 1024
    /// Requests and replies that one direction of a link may have under way in parts.
    package static let openCalls = 1024
    /// Bytes that they may announce together, unless there is only one of them: 32 MiB.
    package static let openCallBytes = 32 << 20
    /// Texts that one direction of a link may intern before it starts over.
    package static let internedTexts: UInt32 = 65_536
    /// Interest entries that one peer may have, and so the most that one frame may add or remove.
    package static let interestEntries = 100_000
    /// Filters of one interest entry.
    package static let filtersPerEntry = 16
    /// Roles of one node.
    package static let roles = 16
    /// Member records in one GOSSIP frame.
    package static let gossipRecords = 1024

    /// Ranges in one ACK frame.
    package static let ackRanges = 64

    /// Bytes of the name of a cluster, node, zone or role.
    package static let nameBytes = 63
    /// Bytes of an interned text, a filter or the name of a queue group: as a topic.
    package static let textBytes = Topic.maximumBytes
    /// Bytes of an advertised `host:port`: a host name has at most 255.
    package static let addressBytes = 261
    /// Bytes of the build text in a HELLO.
    package static let buildBytes = 128
    /// Bytes of the code of a REPLY_ERROR.
    package static let codeBytes = 64
    /// Bytes of an explanation in REJECT, GOODBYE and REPLY_ERROR. Longer ones are cut by the sender.
    package static let detailBytes = 1024

    /// The longest time that a frame may name, 2^42 ms or 139 years: in nanoseconds it still fits an `Int64`.
    package static let maximumMilliseconds: UInt64 = 1 << 42
}
