import Foundation
import LLMgineCore
import LLMgineTransport
import Testing
import X509

@Suite struct `Certificates that a node loads` {
    let workshop: Workshop
    let authority: CertificateAuthority
    let directory: String

    init() throws {
        workshop = try Workshop()
        authority = try CertificateAuthority(cluster: "demo")
        directory = workshop.path("a")
        try authority.issue("a").save(to: directory)
    }

    @Test func `say who it is`() throws {
        let material = try TLSMaterial(loading: .directory(directory))
        #expect(material.identity == (try NodeIdentity(cluster: "demo", node: "a")))
        #expect(material.remarks == [])
    }

    @Test(arguments: ["ca.pem", "node.pem", "node.key"])
    func `are named when one is missing`(file: String) throws {
        try FileManager.default.removeItem(atPath: "\(directory)/\(file)")
        #expect(refusal { try TLSMaterial(loading: .directory(directory)) } == "\(directory)/\(file): No such file or directory")
    }

    @Test(arguments: [("ca.pem", "holds no certificate"), ("node.pem", "holds no certificate"), ("node.key", "holds no private key")])
    func `are named when one is empty or garbage`(file: String, reason: String) throws {
        for text in ["", "garbage", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"] {
            try workshop.write(text, to: "\(directory)/\(file)")
            let detail = refusal { try TLSMaterial(loading: .directory(directory)) }
            #expect(detail.hasPrefix("\(directory)/\(file): "), "\(detail)")
        }
    }

    @Test func `are named when one is a directory`() throws {
        try FileManager.default.removeItem(atPath: "\(directory)/node.key")
        try FileManager.default.createDirectory(atPath: "\(directory)/node.key", withIntermediateDirectories: false)
        #expect(refusal { try TLSMaterial(loading: .directory(directory)) } == "\(directory)/node.key: is a directory")
    }

    @Test(.enabled(if: geteuid() != 0, "root may read everything"))
    func `are named when one may not be read`() throws {
        try FileManager.default.setAttributes([.posixPermissions: 0], ofItemAtPath: "\(directory)/node.key")
        #expect(refusal { try TLSMaterial(loading: .directory(directory)) } == "\(directory)/node.key: Permission denied")
    }

    @Test func `must not be of absurd size`() throws {
        try workshop.write(String(repeating: "x", count: 300_000), to: "\(directory)/node.pem")
        #expect(refusal { try TLSMaterial(loading: .directory(directory)) }.contains("more than a PEM file may have"))
    }

    @Test func `must belong together`() throws {
        try authority.issue("b").save(to: workshop.path("b"))
        let mixed = CertificateSource.files(
            authority: "\(directory)/ca.pem", certificate: "\(directory)/node.pem", key: workshop.path("b/node.key"))
        #expect(refusal { try TLSMaterial(loading: mixed) } == "\(workshop.path("b/node.key")): is not the key of \(directory)/node.pem")

        try CertificateAuthority(cluster: "demo").save(to: workshop.path("other"))
        let foreign = CertificateSource.files(
            authority: workshop.path("other/ca.pem"), certificate: "\(directory)/node.pem", key: "\(directory)/node.key")
        #expect(
            refusal { try TLSMaterial(loading: foreign) } == "\(directory)/node.pem: was not issued by \(workshop.path("other/ca.pem"))")
    }

    @Test func `must be valid today`() throws {
        let late = Date(timeIntervalSinceNow: 2 * 365 * 86_400)
        #expect(refusal { try TLSMaterial(loading: .directory(directory), at: late) }.hasPrefix("\(directory)/node.pem: expired on "))
        let early = Date(timeIntervalSinceNow: -86_400)
        #expect(refusal { try TLSMaterial(loading: .directory(directory), at: early) }.contains("is valid only from"))
    }

    @Test func `are remarked upon when they soon expire or a key lies open`() throws {
        let soon = Date(timeIntervalSinceNow: 360 * 86_400)
        #expect(try TLSMaterial(loading: .directory(directory), at: soon).remarks == ["\(directory)/node.pem expires in 4 days"])
        try FileManager.default.setAttributes([.posixPermissions: 0o644], ofItemAtPath: "\(directory)/node.key")
        #expect(try TLSMaterial(loading: .directory(directory)).remarks.count == 1)
    }

    @Test func `end with the authority that issued them if that is sooner`() throws {
        let short = try CertificateAuthority(cluster: "demo", lifetime: .seconds(20 * 86_400))
        let early = workshop.path("early")
        let uri = GeneralName.uniformResourceIdentifier("llmgine://demo/a")
        try short.issue(names: [uri], node: "a", lifetime: .seconds(365 * 86_400)).save(to: early)
        let material = try TLSMaterial(loading: .directory(early))
        #expect(material.expires == short.expires)
        #expect(material.endsWithAuthority)
        #expect(material.remarks == ["\(early)/ca.pem expires in 19 days"])

        // An authority beside theirs that ends sooner is not their end.
        let issued = try authority.issue("b")
        try issued.save(to: workshop.path("b"))
        try workshop.write(workshop.read("\(early)/ca.pem") + workshop.read(workshop.path("b/ca.pem")), to: workshop.path("b/ca.pem"))
        let other = try TLSMaterial(loading: .directory(workshop.path("b")))
        #expect(other.expires == issued.expires)
        #expect(!other.endsWithAuthority)
        #expect(other.remarks == [])
    }

    @Test(arguments: [
        [GeneralName.dnsName("a.example")],
        [.uniformResourceIdentifier("llmgine://demo/a"), .uniformResourceIdentifier("llmgine://demo/b")],
        [.uniformResourceIdentifier("llmgine://demo")],
    ])
    func `must carry exactly one identity`(names: [GeneralName]) throws {
        let odd = workshop.path("odd")
        try authority.issue(names: names, node: "a", start: Date(timeIntervalSinceNow: -60)).save(to: odd)
        #expect(throws: LLMgineError(.identityRefused, "")) { try TLSMaterial(loading: .directory(odd)) }
    }
}
