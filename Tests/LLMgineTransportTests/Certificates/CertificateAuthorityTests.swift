import Foundation
import LLMgineCore
import LLMgineTransport
import Testing

@Suite struct `A certificate authority` {
    let workshop: Workshop
    let authority: CertificateAuthority

    init() throws {
        workshop = try Workshop()
        authority = try CertificateAuthority(cluster: "demo")
    }

    @Test func `comes back from its directory with the name of its cluster`() throws {
        try authority.save(to: workshop.path("certs"))
        let loaded = try CertificateAuthority(loading: workshop.path("certs"))
        #expect(loaded.cluster == "demo")
        // What the loaded one issues is trusted where the first one is.
        try loaded.issue("a").save(to: workshop.path("a"))
        let source = CertificateSource.files(
            authority: workshop.path("certs/ca.pem"), certificate: workshop.path("a/node.pem"), key: workshop.path("a/node.key"))
        #expect(try TLSMaterial(loading: source).identity.description == "llmgine://demo/a")
    }

    @Test func `keeps private keys from everyone else`() throws {
        try authority.save(to: workshop.path("certs"))
        try authority.issue("a").save(to: workshop.path("certs/a"))
        #expect(try workshop.permissions(workshop.path("certs/ca.key")) == 0o600)
        #expect(try workshop.permissions(workshop.path("certs/a/node.key")) == 0o600)
        #expect(try workshop.permissions(workshop.path("certs")) == 0o700)
    }

    @Test func `overwrites nothing unless told to, and then keeps the modes`() throws {
        let directory = workshop.path("certs")
        try authority.save(to: directory)
        let before = try workshop.read("\(directory)/ca.key")
        let other = try CertificateAuthority(cluster: "demo")
        #expect(refusal { try other.save(to: directory) } == "\(directory)/ca.key: exists already; nothing was written")
        #expect(try workshop.read("\(directory)/ca.key") == before)
        try other.save(to: directory, force: true)
        #expect(try workshop.read("\(directory)/ca.key") != before)
        #expect(try workshop.permissions("\(directory)/ca.key") == 0o600)
    }

    @Test func `refuses names that cannot name a cluster, a node or a host`() {
        #expect(refusal { try CertificateAuthority(cluster: "a/b") }.hasPrefix("cluster name \"a/b\""))
        #expect(refusal { try authority.issue("a", hosts: ["no host"]) } == "\"no host\" is neither a host name nor an IP address")
    }

    @Test func `issues nothing that outlives it`() throws {
        let short = try CertificateAuthority(cluster: "demo", lifetime: .seconds(30 * 86_400))
        #expect(try short.issue("a").expires == short.expires)
        let start = short.expires.addingTimeInterval(-5 * 86_400)
        #expect(try short.issue("a", lifetime: .seconds(4 * 86_400), start: start).expires == start.addingTimeInterval(4 * 86_400))
        let ended = try CertificateAuthority(cluster: "demo", lifetime: .seconds(60), start: Date(timeIntervalSinceNow: -3600))
        #expect(
            refusal { try ended.issue("a") }
                == "the authority of demo ended on \(ended.expires.formatted(.iso8601)) and issues nothing any more")
    }

    @Test func `takes host names and addresses of both families`() throws {
        try authority.issue("a", hosts: ["node-a.example", "10.0.0.1", "fd00::1"]).save(to: workshop.path("a"))
        #expect(try TLSMaterial(loading: .directory(workshop.path("a"))).identity.node == "a")
    }

    @Test func `that is not one, or has another's key, is not loaded`() throws {
        try authority.save(to: workshop.path("certs"))
        try authority.issue("a").save(to: workshop.path("a"))
        try FileManager.default.copyItem(atPath: workshop.path("a/node.pem"), toPath: workshop.path("a/ca.pem.leaf"))
        try CertificateAuthority(cluster: "demo").save(to: workshop.path("other"))
        try workshop.write(workshop.read(workshop.path("other/ca.key")), to: workshop.path("certs/ca.key"))
        let directory = workshop.path("certs")
        #expect(refusal { try CertificateAuthority(loading: directory) } == "\(directory)/ca.key: is not the key of \(directory)/ca.pem")
        #expect(
            refusal { try CertificateAuthority(loading: workshop.path("nowhere")) }
                == "\(workshop.path("nowhere/ca.pem")): No such file or directory")
    }
}
