import LLMgineCore
package import NIOSSL
import X509

package import struct FoundationEssentials.Date

/// Why TLS refused a connection, in words for the log line of whoever has to mend it.
///
/// BoringSSL tells the side that refuses only that verification failed, and the refused side which alert it got; both are turned into the
/// same few reasons here, with whose certificate it is about.
package enum TLSFailure: Sendable, Hashable {
    /// Whose certificate is meant.
    package enum Side: Sendable, Hashable {
        /// The peer's: this node refused it.
        case peer
        /// This node's: the peer refused it.
        case own
    }

    case expired(Side)
    case notYetValid(Side)
    case unknownAuthority(Side)
    case noCertificate(Side)
    /// Refused for a reason that neither the dates nor the issuer explain, such as its usage.
    case unacceptable(Side)
    case notTLS
    case olderTLS
    case otherProtocol
    case closedDuringHandshake
    case timedOut
    /// Anything else, in BoringSSL's own words.
    case other(String)

    /// Reads the reason out of an error that a channel caught, nil if the error has nothing to do with TLS.
    /// - Parameters:
    ///   - certificate: what the peer presented, if the handshake came that far.
    ///   - material: what this node trusts.
    package init?(_ error: any Error, certificate: NIOSSLCertificate?, material: TLSMaterial, at now: Date = Date()) {
        guard let text = TLSFailure.words(of: error) else { return nil }
        if text.contains("CERTIFICATE_VERIFY_FAILED") {
            self = TLSFailure.diagnosis(of: certificate?.parsed, trusting: material.authorities, at: now)
        } else {
            self = TLSFailure.known.first { text.contains($0.words) }?.failure ?? .other(String(text.prefix(200)))
        }
    }

    /// What BoringSSL found wrong with a certificate, found again.
    private static func diagnosis(of certificate: Certificate?, trusting authorities: [Certificate], at now: Date) -> TLSFailure {
        guard let certificate else { return .unacceptable(.peer) }
        guard certificate.isIssued(by: authorities, through: EmptyCollection()) else { return .unknownAuthority(.peer) }
        return certificate.fault(at: now)?(.peer) ?? .unacceptable(.peer)
    }

    /// The text of the errors that TLS raises, nil for all others.
    private static func words(of error: any Error) -> String? {
        switch error {
        case NIOSSLError.handshakeFailed(let inner), NIOSSLError.shutdownFailed(let inner): String(describing: inner)
        case NIOSSLError.uncleanShutdown: "uncleanShutdown"
        case is NIOSSLError, is BoringSSLError, is NIOSSLExtraError: String(describing: error)
        default: nil
        }
    }

    /// What BoringSSL calls the things that happen. Alerts come from the peer and are about this node's certificate.
    private static let known: [(words: String, failure: TLSFailure)] = [
        ("ALERT_CERTIFICATE_EXPIRED", .expired(.own)),
        ("ALERT_UNKNOWN_CA", .unknownAuthority(.own)),
        ("ALERT_DECRYPT_ERROR", .unknownAuthority(.own)),
        ("ALERT_CERTIFICATE_REQUIRED", .noCertificate(.own)),
        ("ALERT_BAD_CERTIFICATE", .unacceptable(.own)),
        ("ALERT_UNSUPPORTED_CERTIFICATE", .unacceptable(.own)),
        ("ALERT_CERTIFICATE_UNKNOWN", .unacceptable(.own)),
        ("PEER_DID_NOT_RETURN_A_CERTIFICATE", .noCertificate(.peer)),
        ("NO_APPLICATION_PROTOCOL", .otherProtocol),
        ("ALERT_PROTOCOL_VERSION", .olderTLS),
        ("UNSUPPORTED_PROTOCOL", .olderTLS),
        ("HTTP_REQUEST", .notTLS),
        ("HTTPS_PROXY_REQUEST", .notTLS),
        ("WRONG_VERSION_NUMBER", .notTLS),
        ("UNEXPECTED_RECORD", .notTLS),
        ("EXCESSIVE_MESSAGE_SIZE", .notTLS),
        ("ENCRYPTED_LENGTH_TOO_LONG", .notTLS),
        ("EOF during", .closedDuringHandshake),
    ]
}

extension TLSFailure: CustomStringConvertible {
    /// A reason that fits behind "connection refused: ".
    package var description: String {
        switch self {
        case .expired(.peer): "the peer's certificate has expired"
        case .expired(.own): "the peer refused this node's certificate: expired or not yet valid there"
        case .notYetValid(.peer): "the peer's certificate is not valid yet"
        case .notYetValid(.own): "the peer refused this node's certificate: not valid yet"
        case .unknownAuthority(.peer): "the peer's certificate comes from an unknown CA"
        case .unknownAuthority(.own): "the peer refused this node's certificate: unknown CA"
        case .noCertificate(.peer): "the peer presented no certificate"
        case .noCertificate(.own): "the peer refused this node: no certificate presented"
        case .unacceptable(.peer): "the peer's certificate cannot be used for this"
        case .unacceptable(.own): "the peer refused this node's certificate"
        case .notTLS: "what the peer sent is not TLS at all"
        case .olderTLS: "the peer does not speak TLS 1.3"
        case .otherProtocol: "the peer speaks another protocol inside TLS"
        case .closedDuringHandshake: "the peer closed the connection during the TLS handshake"
        case .timedOut: "the TLS handshake took too long"
        case .other(let words): "TLS failed: \(words.printable)"
        }
    }
}
