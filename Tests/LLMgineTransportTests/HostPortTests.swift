import LLMgineCore
import LLMgineTransport
import Testing

@Suite struct `An address` {
    @Test(arguments: [("10.0.0.1:7400", "10.0.0.1", 7400), ("node-a:0", "node-a", 0), ("[fd00::1]:65535", "fd00::1", 65_535)])
    func `is a host and a port`(text: String, host: String, port: Int) throws {
        let address = try HostPort(text)
        #expect(address.host == host)
        #expect(address.port == port)
        #expect(address.description == text)
    }

    @Test func `can be dialled unless its port is 0`() throws {
        #expect(try HostPort("a:1").isDialable)
        #expect(try !HostPort("a:0").isDialable)
    }

    @Test(arguments: [
        "", ":7400", "host", "host:", "host:-1", "host:+1", "host: 1", "host:65536", "fd00::1:7400", "ho st:1", "[]:1", "http://host:1",
        "host:1:2",
    ])
    func `is nothing else`(text: String) {
        #expect(throws: LLMgineError(.invalidArgument, "")) { try HostPort(text) }
    }
}
