package import LLMgineCore
package import LLMgineWire

/// Who a certificate says the peer is.
package struct PeerIdentity: Sendable, Hashable {
    package let cluster: String
    package let node: NodeID
    /// The roles that the certificate carries, which are not those that the node claims.
    package let roles: [String]

    package init(cluster: String, node: NodeID, roles: [String] = []) {
        self.cluster = cluster
        self.node = node
        self.roles = roles
    }
}

/// Which end of the connection we are.
package enum LinkRole: Sendable, Hashable {
    case dialer, acceptor
}

/// What both ends of an established link have agreed on.
package struct LinkSession: Sendable, Hashable {
    /// Which end we are.
    package let role: LinkRole
    /// The peer's own words, checked against its certificate.
    package let peer: HelloFrame
    /// The protocol version in use.
    package let version: UInt32
    /// What both ends can do.
    package let features: WireFeatures
    /// The lower of both ends' limits.
    package let limits: WireLimits
    /// The roles that the peer's certificate carries.
    package let roles: [String]

    package init(role: LinkRole, peer: HelloFrame, version: UInt32, features: WireFeatures, limits: WireLimits, roles: [String] = []) {
        self.roles = roles
        self.role = role
        self.peer = peer
        self.version = version
        self.features = features
        self.limits = limits
    }
}

/// Decides whether a HELLO is one that we can work with.
struct Handshake: Sendable, Hashable {
    let role: LinkRole
    let ours: HelloFrame
    let certified: PeerIdentity

    struct Refusal: Error, Hashable {
        let reason: CloseReason
        let detail: String
    }

    /// The version comes first, since what the other fields mean may depend on it.
    func check(_ theirs: HelloFrame) throws(Refusal) -> LinkSession {
        guard let version = WireVersion.common(ours.protocols, theirs.protocols) else {
            throw Refusal(reason: .versionMismatch, detail: "here \(ours.protocols), there \(theirs.protocols)")
        }
        guard certified.cluster == ours.cluster, theirs.cluster == ours.cluster else {
            throw Refusal(reason: .clusterMismatch, detail: "this is \(ours.cluster), not \(theirs.cluster)")
        }
        guard theirs.node == certified.node else {
            throw Refusal(reason: .identityMismatch, detail: "claimed \(theirs.node), certified \(certified.node)")
        }
        // A leaf is no member, so its name takes nobody's place: not even that of its hub.
        guard theirs.node != ours.node || theirs.kind == .leaf || ours.kind == .leaf else {
            let isOurselves = theirs.incarnation == ours.incarnation
            throw Refusal(reason: isOurselves ? .ownNode : .duplicateIdentity, detail: "\(ours.node)")
        }
        return LinkSession(
            role: role, peer: theirs, version: version, features: ours.features.intersection(theirs.features),
            limits: try limits(with: theirs), roles: certified.roles)
    }

    private func limits(with theirs: HelloFrame) throws(Refusal) -> WireLimits {
        let overhead = UInt64(WireLimits.frameOverhead)
        let frame = min(ours.maximumFrame, theirs.maximumFrame)
        let payload = min(ours.maximumPayload, theirs.maximumPayload, frame - min(frame, overhead))
        guard payload >= UInt64(WireLimits.payloadRange.lowerBound) else {
            throw Refusal(
                reason: .limitExceeded, detail: "payloads of \(payload) bytes and frames of \(frame) bytes are too small to work with")
        }
        return WireLimits(maximumPayload: Int(clamping: payload))
    }
}
