import LLMgineCore
import SwiftASN1
import X509

import struct FoundationEssentials.Date

extension Certificate {
    /// Whether the dates speak against the certificate, as a failure that still wants to know whose certificate it is.
    func fault(at now: Date) -> ((TLSFailure.Side) -> TLSFailure)? {
        if now > notValidAfter { return TLSFailure.expired }
        if now < notValidBefore { return TLSFailure.notYetValid }
        return nil
    }

    /// - Throws: `tlsFailure` with the path and the date, if the dates speak against the certificate.
    func check(at now: Date, path: String) throws(LLMgineError) {
        if now > notValidAfter { throw LLMgineError(.tlsFailure, "\(path): expired on \(notValidAfter.formatted(.iso8601))") }
        if now < notValidBefore {
            throw LLMgineError(.tlsFailure, "\(path): is valid only from \(notValidBefore.formatted(.iso8601)) on: is the clock right?")
        }
    }

    /// Whether a chain of signatures leads from this certificate to one of the authorities. What BoringSSL will ask at every handshake, asked
    /// once at the start, where the answer can name the files.
    func isIssued(by authorities: [Certificate], through intermediates: some Collection<Certificate>) -> Bool {
        chain(to: authorities, through: intermediates) != nil
    }

    /// The chain of signatures from this certificate to the authorities: this one and the intermediates that it leads through, and the authorities that
    /// signed the last of them, which are several while one is being replaced. nil if there is none.
    func chain(
        to authorities: [Certificate], through intermediates: some Collection<Certificate>
    ) -> (own: [Certificate], authorities: [Certificate])? {
        var own = [self]
        var current = self
        for _ in 0...intermediates.count {
            let issuers = authorities.filter { current.isSigned(by: $0) }
            if !issuers.isEmpty { return (own, issuers) }
            guard let next = intermediates.first(where: { current.isSigned(by: $0) }) else { return nil }
            own.append(next)
            current = next
        }
        return nil
    }

    func isSigned(by issuer: Certificate) -> Bool {
        self.issuer == issuer.subject && issuer.publicKey.isValidSignature(signature, for: self)
    }
}
