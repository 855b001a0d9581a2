package import LLMgineCore

/// Why a link closes: what REJECT and GOODBYE carry as a number, and what both ends log. Numbers are never reused.
package enum CloseReason: UInt64, Sendable, Hashable, CaseIterable {
    /// A number of a later version, or none given.
    case unspecified = 0

    // The handshake
    case versionMismatch = 1
    case clusterMismatch = 2
    case identityMismatch = 3
    case ownNode = 4
    case duplicateIdentity = 5
    case handshakeTimeout = 6
    case interestTimeout = 7

    // The mesh: decided by the broker
    case duplicateLink = 10
    case superseded = 11
    case shuttingDown = 12

    // The peer's mistakes
    case malformed = 20
    case limitExceeded = 21
    case unexpectedFrame = 22
    case creditOverdrawn = 23
    case tooManyFrames = 24
    case tooSlow = 25

    // The connection. `connectionLost` and `tlsFailure` are never sent: there is nothing left to send them on.
    case keepaliveTimeout = 30
    case connectionLost = 31
    case tlsFailure = 32
    case certificateExpired = 33
    case rolesChanged = 34

    /// The reason in words, for a log line.
    package var text: String {
        switch self {
        case .unspecified: "no known reason was given"
        case .versionMismatch: "the nodes share no protocol version"
        case .clusterMismatch: "the node belongs to another cluster"
        case .identityMismatch: "the node is not the one that its certificate names"
        case .ownNode: "the node has dialled itself"
        case .duplicateIdentity: "another live process uses the same node name"
        case .handshakeTimeout: "the node did not say hello in time"
        case .interestTimeout: "the node did not tell its interest in time"
        case .duplicateLink: "the nodes have another link"
        case .superseded: "a later life of the node has come"
        case .shuttingDown: "the node is shutting down"
        case .malformed: "a frame breaks the protocol's form"
        case .limitExceeded: "a frame exceeds a limit"
        case .unexpectedFrame: "a frame came that is not allowed now"
        case .creditOverdrawn: "messages came without credit"
        case .tooManyFrames: "control frames came too fast"
        case .tooSlow: "a frame came too slowly"
        case .keepaliveTimeout: "the node fell silent"
        case .connectionLost: "the connection was closed"
        case .tlsFailure: "TLS refused the connection"
        case .certificateExpired: "the node's certificate has expired"
        case .rolesChanged: "the node's new certificate carries other roles"
        }
    }

    /// The reason for an error that our own decoder or broker found in what the peer sent.
    package init(_ error: LLMgineError) {
        switch error.code {
        case .malformedFrame, .badPayload: self = .malformed
        case .limitExceeded: self = .limitExceeded
        case .creditOverdrawn: self = .creditOverdrawn
        case .unexpectedFrame: self = .unexpectedFrame
        case .versionMismatch: self = .versionMismatch
        case .identityRefused: self = .identityMismatch
        case .duplicateIdentity: self = .duplicateIdentity
        case .stopped: self = .shuttingDown
        case .connectionClosed: self = .connectionLost
        case .tlsFailure: self = .tlsFailure
        default: self = .unspecified  // the codes of other layers say nothing about a link
        }
    }

    /// The code of the error that whoever waited for the link gets.
    package var errorCode: LLMgineError.Code {
        switch self {
        case .versionMismatch: .versionMismatch
        case .clusterMismatch, .identityMismatch, .ownNode: .identityRefused
        case .duplicateIdentity: .duplicateIdentity
        case .malformed: .malformedFrame
        case .limitExceeded, .tooManyFrames, .tooSlow: .limitExceeded
        case .unexpectedFrame: .unexpectedFrame
        case .creditOverdrawn: .creditOverdrawn
        case .tlsFailure, .certificateExpired: .tlsFailure
        case .unspecified, .handshakeTimeout, .interestTimeout, .duplicateLink, .superseded, .shuttingDown, .keepaliveTimeout,
            .connectionLost, .rolesChanged:
            .connectionClosed
        }
    }
}

/// How a link ended.
package struct LinkClosure: Sendable, Hashable {
    /// Who ended it.
    package enum Origin: Sendable, Hashable {
        case us, peer, transport
    }

    package let reason: CloseReason
    /// Who ended it.
    package let origin: Origin
    /// The particulars, for a log: free of control characters, even if the peer wrote it.
    package let detail: String

    package init(_ reason: CloseReason, by origin: Origin, detail: String = "") {
        self.reason = reason
        self.origin = origin
        self.detail = detail.withoutControlCharacters
    }

    /// As an error for whoever waited for the link.
    package var error: LLMgineError {
        LLMgineError(reason.errorCode, detail.isEmpty ? reason.text : "\(reason.text): \(detail)")
    }
}

extension String {
    /// A log line stays one line, whatever a peer puts in a text.
    fileprivate var withoutControlCharacters: String {
        guard unicodeScalars.contains(where: { $0.properties.generalCategory == .control }) else { return self }
        return String(String.UnicodeScalarView(unicodeScalars.map { $0.properties.generalCategory == .control ? "?" : $0 }))
    }
}
