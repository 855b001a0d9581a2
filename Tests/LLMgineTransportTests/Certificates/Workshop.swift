import Foundation
import LLMgineCore
import LLMgineTransport

/// A directory for one test, gone with the value's owner, and the certificates made in it.
final class Workshop {
    let directory: String

    init() throws {
        directory = NSTemporaryDirectory() + "llmgine-certificates-\(UUID().uuidString)"
        try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
    }

    deinit { try? FileManager.default.removeItem(atPath: directory) }

    func path(_ name: String) -> String { "\(directory)/\(name)" }

    /// Writes the certificate of a node and names where it is.
    func issue(_ node: NodeID, by authority: CertificateAuthority, cluster: String? = nil, lifetime: Duration = .seconds(86_400)) throws
        -> CertificateSource
    {
        let directory = path("\(cluster ?? authority.cluster)-\(node)-\(UUID().uuidString.prefix(8))")
        try authority.issue(node, cluster: cluster, lifetime: lifetime).save(to: directory)
        return .directory(directory)
    }

    /// Certificates loaded as a node would load them.
    func material(_ node: NodeID, by authority: CertificateAuthority, cluster: String? = nil) throws -> TLSMaterial {
        try TLSMaterial(loading: issue(node, by: authority, cluster: cluster))
    }

    /// Certificates that have expired, loaded before they did.
    func expiredMaterial(_ node: NodeID, by authority: CertificateAuthority) throws -> TLSMaterial {
        let directory = path("expired-\(node)")
        let start = Date(timeIntervalSinceNow: -7200)
        try authority.issue(node, lifetime: .seconds(3600), start: start).save(to: directory)
        return try TLSMaterial(loading: .directory(directory), at: start.addingTimeInterval(60))
    }

    func permissions(_ path: String) throws -> Int? {
        try FileManager.default.attributesOfItem(atPath: path)[.posixPermissions] as? Int
    }

    func write(_ text: String, to path: String) throws { try text.write(toFile: path, atomically: true, encoding: .utf8) }
    func read(_ path: String) throws -> String { try String(contentsOfFile: path, encoding: .utf8) }
}

/// The detail of the error that the body throws, or what it returned instead.
func refusal<T>(_ body: () throws -> T) -> String {
    do {
        return "no error, but \(try body())"
    } catch let error as LLMgineError {
        return error.detail
    } catch {
        return "another error: \(error)"
    }
}
