import LLMgineCore
import SwiftASN1
import X509

/// Certificates and keys as PEM text, with errors that name the file.
enum PEM {
    /// The most certificates a file may hold.
    static let maximumCertificates = 16

    /// Every certificate of a file, in order, at least one.
    static func certificates(_ text: String, from path: String) throws(LLMgineError) -> [Certificate] {
        let documents: [PEMDocument]
        do {
            documents = try PEMDocument.parseMultiple(pemString: text)
        } catch {
            throw LLMgineError(.tlsFailure, "\(path): is not PEM text", cause: error)
        }
        guard !documents.isEmpty else { throw LLMgineError(.tlsFailure, "\(path): holds no certificate") }
        guard documents.count <= maximumCertificates else {
            throw LLMgineError(.tlsFailure, "\(path): holds \(documents.count) entries, more than \(maximumCertificates)")
        }
        var certificates: [Certificate] = []
        for document in documents {
            guard document.discriminator == "CERTIFICATE" else {
                throw LLMgineError(.tlsFailure, "\(path): holds a \(document.discriminator.printable), expected only certificates")
            }
            do {
                certificates.append(try Certificate(pemDocument: document))
            } catch {
                throw LLMgineError(.tlsFailure, "\(path): certificate \(certificates.count + 1) cannot be parsed", cause: error)
            }
        }
        return certificates
    }

    /// The first certificate of a file.
    static func certificate(_ text: String, from path: String) throws(LLMgineError) -> Certificate {
        guard let first = try certificates(text, from: path).first else { throw LLMgineError(.tlsFailure, "\(path): holds no certificate") }
        return first
    }

    /// The private key of a file. The error never carries what was read.
    static func privateKey(_ text: String, from path: String) throws(LLMgineError) -> Certificate.PrivateKey {
        guard let key = try? Certificate.PrivateKey(pemEncoded: text) else {
            throw LLMgineError(
                .tlsFailure, "\(path): holds no private key that can be used (PKCS#8, SEC 1 or PKCS#1 in PEM, without a passphrase)")
        }
        return key
    }

    static func text(_ certificate: Certificate) throws(LLMgineError) -> String {
        do {
            return try certificate.serializeAsPEM().pemString + "\n"
        } catch {
            throw LLMgineError(.tlsFailure, "a certificate cannot be written", cause: error)
        }
    }

    static func text(_ key: Certificate.PrivateKey) throws(LLMgineError) -> String {
        guard let text = try? key.serializeAsPEM().pemString else { throw LLMgineError(.tlsFailure, "a private key cannot be written") }
        return text + "\n"
    }
}
