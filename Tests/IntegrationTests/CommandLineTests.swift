import Foundation
import LLMgineCore
import LLMgineLLM
import LLMgineTestKit
import Testing

@Suite(.timeLimit(.minutes(2))) struct `A cluster of real processes` {
    @Test func `brings what is published at one node to who subscribed at another`() async throws {
        let machine = try await Machine(nodes: "a", "b", "cli")
        let a = try await machine.node("a")
        let b = try await machine.node("b", "node.seeds=\(a.address)")
        try await b.logged("peer linked", "peer=a")

        let sub = try machine.start(
            "sub", "documents.>", "--json", "--count", "2", "--connect", b.address, "--certs", machine.path("cli"))
        try await sub.line(.error, containing: "subscribed to documents.> at b")
        let pub = try await machine.run(
            "pub", "documents.x.line", "hello \"you\"", "--header", "k=v", "--connect", a.address, "--certs", machine.path("cli"))
        #expect(pub.ending == .code(0))
        #expect(pub.errors == [])
        let lines = try await machine.run(
            "pub", "documents.y.line", "--connect", a.address, "--certs", machine.path("cli"), input: "one more\n")
        #expect(lines.ending == .code(0))

        let finished = await Finished(sub)
        #expect(finished.ending == .code(0))
        let first = try JSONValue(parsing: finished.output[0])
        #expect(first["topic"]?.string == "documents.x.line")
        #expect(first["publisher"]?.string == "cli")
        #expect(first["payload"]?.string == "hello \"you\"")
        #expect(first["headers"] == [["k", "v"]])
        #expect(try JSONValue(parsing: finished.output[1])["payload"]?.string == "one more")
        #expect(finished.output.count == 2)
    }

    @Test func `serves several clients with one certificate, and one with a node's own`() async throws {
        let machine = try await Machine(nodes: "a", "cli")
        let a = try await machine.node("a")
        let options = ["--connect", a.address, "--certs", machine.path("cli")]
        let subs = [
            try machine.start("sub", "x.>", "--count", "3", options[0], options[1], options[2], options[3]),
            try machine.start("sub", "x.>", "--count", "3", options[0], options[1], options[2], options[3]),
            try machine.start("sub", "x.>", "--count", "3", "--connect", a.address, "--certs", machine.path("a")),
        ]
        for sub in subs { try await sub.line(.error, containing: "subscribed") }
        for number in 1...3 {
            let pub = try await machine.run("pub", "x.\(number)", "\(number)", options[0], options[1], options[2], options[3])
            #expect(pub.ending == .code(0))
        }
        for sub in subs {
            let finished = await Finished(sub)
            #expect(finished.ending == .code(0))
            #expect(finished.output.sorted() == ["1", "2", "3"])
        }
    }

    @Test func `gets all that a client publishes before it leaves, in order`() async throws {
        let machine = try await Machine(nodes: "a", "b", "cli")
        let a = try await machine.node("a")
        let b = try await machine.node("b", "node.seeds=\(a.address)")
        try await b.logged("peer linked", "peer=a")
        let sub = try machine.start("sub", "bulk", "--count", "15000", "--connect", b.address, "--certs", machine.path("cli"))
        try await sub.line(.error, containing: "subscribed")
        let lines = (1...15_000).map(String.init)
        let pub = try await machine.run(
            "pub", "bulk", "--connect", a.address, "--certs", machine.path("cli"), input: lines.joined(separator: "\n") + "\n")
        #expect(pub.ending == .code(0))
        let finished = await Finished(sub)
        #expect(finished.ending == .code(0))
        #expect(finished.output == lines)
    }

    @Test func `publishes the bytes of its input as they are, and ends a line at a newline only`() async throws {
        let machine = try await Machine(nodes: "a", "cli")
        let a = try await machine.node("a")
        let sub = try machine.start(
            "sub", "bytes", "--json", "--count", "3", "--connect", a.address, "--certs", machine.path("cli"))
        try await sub.line(.error, containing: "subscribed")
        let pub = try machine.start("pub", "bytes", "--connect", a.address, "--certs", machine.path("cli"))
        try pub.write([0xFF, 0xFE, 0x00, UInt8(ascii: "A"), 0x0D, 0x0A, 0x0A] + Array("the last".utf8))
        pub.endInput()
        let published = await Finished(pub)
        #expect(published.ending == .code(0))
        #expect(published.errors == [])
        let finished = await Finished(sub)
        #expect(finished.ending == .code(0))
        let messages = try finished.output.map { try JSONValue(parsing: $0) }
        #expect(messages.map { $0["payload_base64"]?.string } == ["//4AQQ0=", nil, nil])
        #expect(messages.map { $0["payload"]?.string } == [nil, "", "the last"])

        let long = try machine.start("pub", "bytes", "--connect", a.address, "--certs", machine.path("cli"))
        try long.write([UInt8](repeating: UInt8(ascii: "x"), count: (1 << 20) + 1))
        let refused = await Finished(long)
        #expect(refused.ending == .code(1))
        #expect(refused.errors == ["llmgine: a line of the input is longer than a payload may be: at most 1048576 bytes are allowed"])
    }

    @Test func `gets all that comes before a line that is too long`() async throws {
        let machine = try await Machine(nodes: "a", "cli")
        let a = try await machine.node("a")
        let sub = try machine.start("sub", "bulk", "--count", "15000", "--connect", a.address, "--certs", machine.path("cli"))
        try await sub.line(.error, containing: "subscribed")
        let lines = (1...15_000).map(String.init)
        let tooLong = String(repeating: "x", count: (1 << 20) + 1)
        let pub = try await machine.run(
            "pub", "bulk", "--connect", a.address, "--certs", machine.path("cli"), input: lines.joined(separator: "\n") + "\n" + tooLong)
        #expect(pub.ending == .code(1))
        #expect(pub.errors == ["llmgine: a line of the input is longer than a payload may be: at most 1048576 bytes are allowed"])
        let finished = await Finished(sub)
        #expect(finished.ending == .code(0))
        #expect(finished.output == lines)
    }

    @Test func `ends a subscription on a signal with exit code 0`() async throws {
        let machine = try await Machine(nodes: "a", "cli")
        let a = try await machine.node("a")
        for signal in [SIGINT, SIGTERM] {
            let sub = try machine.start("sub", ">", "--connect", a.address, "--certs", machine.path("cli"))
            try await sub.line(.error, containing: "subscribed")
            sub.signal(signal)
            #expect(await sub.exit() == .code(0))
        }
    }

    @Test func `tells a subscriber that its node is gone, and that there is one again`() async throws {
        let machine = try await Machine(nodes: "a", "cli")
        let a = try await machine.node("a")
        let sub = try machine.start("sub", "x", "--connect", a.address, "--certs", machine.path("cli"))
        try await sub.line(.error, containing: "subscribed")
        a.child.signal(SIGKILL)
        #expect(await a.child.exit() == .signal(SIGKILL))
        try await sub.line(.error, containing: "is gone")
        let again = try await machine.node("a", "node.listen=\(a.address)")
        #expect(again.address == a.address)
        try await sub.line(.error, containing: "linked again")
        sub.signal(SIGTERM)
        let finished = await Finished(sub)
        #expect(finished.ending == .code(0))
        #expect(
            finished.errors == [
                "llmgine: subscribed to x at a", "llmgine: the link to a is gone; dialling on",
                "llmgine: linked again, to a; what was published meanwhile is lost",
            ])
    }

    @Test(arguments: [false, true]) func `tells a publisher that its node is gone`(isBack: Bool) async throws {
        let machine = try await Machine(nodes: "a", "cli")
        let a = try await machine.node("a")
        let options = ["--connect", a.address, "--certs", machine.path("cli")]
        let sub = try machine.start("sub", "x", options[0], options[1], options[2], options[3])
        try await sub.line(.error, containing: "subscribed")
        let pub = try machine.start("pub", "x", options[0], options[1], options[2], options[3])
        try pub.write("one\n")
        try await sub.line(.output, containing: "one")
        sub.signal(SIGTERM)
        #expect(await sub.exit() == .code(0))
        a.child.signal(SIGKILL)
        #expect(await a.child.exit() == .signal(SIGKILL))
        let again = try await isBack ? machine.node("a", "node.listen=\(a.address)") : nil
        if let again { try await again.logged("peer linked", "peer=cli") }
        try pub.write("two\nthree\n")
        pub.endInput()
        let finished = await Finished(pub)
        #expect(finished.ending == .code(69))
        #expect(finished.errors.count == 1)
        let complaint = "llmgine: the link to a is gone; what was under way may be lost (messages published: "
        #expect(finished.errors.first?.hasPrefix(complaint) == true)
        #expect(again?.child.isRunning != false)
    }

    @Test func `takes a node that leaves for one that is gone, where a client publishes`() async throws {
        let machine = try await Machine(nodes: "a", "cli")
        let a = try await machine.node("a", "node.roles=worker", "limits.stopDeadline=10m")
        let options = ["--connect", a.address, "--certs", machine.path("cli")]
        let call = try machine.start(
            "generate", #"{"tokens":["one\n","two\n"],"interruption":{"kind":"hang","afterTokens":1}}"#, "--model", "embedded/script",
            options[0], options[1], options[2], options[3])
        try await call.line(.output, containing: "one")
        let sub = try machine.start("sub", "x", options[0], options[1], options[2], options[3])
        try await sub.line(.error, containing: "subscribed")
        let pub = try machine.start("pub", "x", "--verbose", options[0], options[1], options[2], options[3])
        try pub.write("one\n")
        try await sub.line(.output, containing: "one")
        a.child.signal(SIGTERM)
        try await pub.line(.error, containing: "peer leaves")
        try pub.write("two\n")
        let finished = await Finished(pub)
        #expect(finished.ending == .code(69))
        #expect(finished.errors.last == "llmgine: the link to a is gone; what was under way may be lost (messages published: 1)")
        #expect(a.child.isRunning && call.isRunning)
    }

    @Test func `runs LLM calls on its worker`() async throws {
        let machine = try await Machine(nodes: "a", "b", "cli")
        let a = try await machine.node("a")
        let b = try await machine.node("b", "node.seeds=\(a.address)", "node.roles=worker", "worker.slots=1")
        try await b.logged("offers are known")
        let options = ["--connect", a.address, "--certs", machine.path("cli")]
        let text = try await machine.run("generate", "Hello, my friend", options[0], options[1], options[2], options[3])
        #expect(text.ending == .code(0))
        #expect(text.output == ["Arrr, ye scurvy dog! Ahoy, me matey"])
        let json = try await machine.run("generate", "Hello, my friend", "--json", options[0], options[1], options[2], options[3])
        #expect(try JSONValue(parsing: json.output[0])["worker"]?.string == "b")
        let nobody = try await machine.run(
            "generate", "hi", "--model", "nobody/has-it", "--timeout", "2s", options[0], options[1], options[2], options[3])
        #expect(nobody.ending == .code(69))
    }

    @Test func `tells who is in it`() async throws {
        let machine = try await Machine(nodes: "a", "b", "cli")
        let a = try await machine.node("a")
        let b = try await machine.node("b", "node.seeds=\(a.address)", "node.roles=counter")
        try await a.logged("peer linked", "peer=b")
        let table = try await machine.run("nodes", "--connect", a.address, "--certs", machine.path("cli"))
        #expect(table.output[0].hasPrefix("NODE"))
        #expect(
            table.output.dropFirst().prefix(3).map { $0.split(separator: " ").prefix(4).joined(separator: " ") } == [
                "a self \(a.address) -", "b linked \(b.address) counter", "cli leaf - -",
            ])
        #expect(table.output.contains { $0.hasPrefix("LINK") } && table.output.contains { $0.hasPrefix("b  ") })
        #expect(try #require(table.output.last).hasPrefix("memory for peers: "))
        let json = try await machine.run("nodes", "--json", "--connect", a.address, "--certs", machine.path("cli"))
        #expect(try JSONValue(parsing: json.output[0])["node"]?.string == "a")
    }

    @Test func `lets a node go on SIGTERM with exit code 0 and without its port`() async throws {
        let machine = try await Machine(nodes: "a", "b")
        let a = try await machine.node("a")
        let b = try await machine.node("b", "node.seeds=\(a.address)")
        try await a.logged("peer linked", "peer=b")
        let taken = try await machine.run(
            "node", "--set", "certificates.directory=\(machine.path("b"))", "--set", "node.listen=\(a.address)")
        #expect(taken.ending == .code(69))
        #expect(taken.errors.last == "llmgine: cannot listen on \(a.address): the port is taken by another process")

        a.child.signal(SIGTERM)
        #expect(await a.child.exit() == .code(0))
        try await b.logged("peer leaves", "peer=a")
        let again = try await machine.node("a", "node.listen=\(a.address)")
        #expect(again.address == a.address)
        // The later life of a node takes its place.
        try await b.logged("peer linked", "peer=a", from: b.child.lineCount)
        again.child.endInput()
        #expect(await again.child.exit() == .code(0))
    }

    @Test func `lets a call that runs end before its node stops`() async throws {
        let machine = try await Machine(nodes: "a", "cli")
        let a = try await machine.node("a", "node.roles=worker")
        let call = try machine.start(
            "generate", #"{"tokens":["one\n","two\n"],"tokenDelayMilliseconds":500}"#, "--model", "embedded/script", "--connect", a.address,
            "--certs", machine.path("cli"))
        try await call.line(.output, containing: "one")
        a.child.signal(SIGTERM)
        #expect(await a.child.exit() == .code(0))
        let finished = await Finished(call)
        #expect(finished.ending == .code(0))
        #expect(finished.output.prefix(2) == ["one", "two"])
    }

    @Test func `stops at the second signal whatever runs`() async throws {
        let machine = try await Machine(nodes: "a", "cli")
        let a = try await machine.node("a", "node.roles=worker", "limits.stopDeadline=10m")
        let call = try machine.start(
            "generate", #"{"tokens":["one\n","two\n"],"interruption":{"kind":"hang","afterTokens":1}}"#, "--model", "embedded/script",
            "--connect", a.address, "--certs", machine.path("cli"))
        try await call.line(.output, containing: "one")
        a.child.signal(SIGTERM)
        try await a.logged("leaving")
        a.child.signal(SIGTERM)
        #expect(await a.child.exit() == .code(128 + SIGTERM))
        let finished = await Finished(call)
        #expect(finished.ending == .code(69))
    }

    @Test func `refuses who comes with another authority's certificate, and both logs say why`() async throws {
        let machine = try await Machine(nodes: "a", "b", "cli")
        let other = try await Machine(nodes: "c", "cli")
        let a = try await machine.node("a")
        let stranger = try await other.node("c", "node.seeds=\(a.address)")
        try await stranger.logged("connection refused", "the peer's certificate comes from an unknown CA")
        try await a.logged("connection refused", "the peer refused this node's certificate: unknown CA")

        let client = try await other.run("pub", "x", "y", "--connect", a.address, "--certs", other.path("cli"))
        #expect(client.ending == .code(78))
        #expect(client.errors == ["llmgine: TLS refused the connection: the peer's certificate comes from an unknown CA"])
        // Nobody else has noticed.
        let friend = try await machine.run("nodes", "--connect", a.address, "--certs", machine.path("cli"))
        #expect(friend.ending == .code(0))
    }

    @Test func `tells a client what its rules deny instead of taking it and staying silent`() async throws {
        let machine = try await Machine(nodes: "a", "cli")
        let a = try await machine.node("a", "permissions=node cli may publish orders.>,node cli may subscribe news.>")
        for (command, reason) in [
            (["pub", "other", "x"], "node cli may not publish on other"), (["sub", "orders.>"], "node cli may not subscribe to orders.>"),
        ] {
            let denied = try await machine.run(command + ["--connect", a.address, "--certs", machine.path("cli")])
            #expect(denied.ending == .code(78))
            #expect(denied.errors.count == 1)
            #expect(denied.errors.first?.contains(reason) == true, "\(denied.errors)")
        }
        let allowed = try await machine.run("pub", "orders.1", "x", "--connect", a.address, "--certs", machine.path("cli"))
        #expect(allowed.ending == .code(0))
    }

    @Test func `says what is wrong when it cannot be reached`() async throws {
        let machine = try await Machine(nodes: "a", "cli")
        let a = try await machine.node("a")
        a.child.signal(SIGKILL)
        #expect(await a.child.exit() == .signal(SIGKILL))
        let nobody = try await machine.run("pub", "x", "y", "--connect", a.address, "--certs", machine.path("cli"))
        #expect(nobody.ending == .code(69))
        #expect(nobody.errors == ["llmgine: cannot connect to \(a.address): connection refused, nobody listens there"])
        let nothing = try await machine.run("pub", "x", "y", "--connect", a.address, "--certs", machine.path("nothing"))
        #expect(nothing.ending == .code(78))
        #expect(nothing.errors == ["llmgine: \(machine.path("nothing"))/ca.pem: No such file or directory"])
        let address = try await machine.run("pub", "x", "y", "--connect", "a:b", "--certs", machine.path("cli"))
        #expect(address.ending == .code(64))
        let topic = try await machine.run("pub", "x..y", "z", "--certs", machine.path("cli"))
        #expect(topic.ending == .code(64))
        #expect(topic.errors == ["llmgine: topic \"x..y\": has an empty token"])
    }
}

@Suite(.timeLimit(.minutes(2))) struct `The command line` {
    @Test func `checks a node's settings without running it`() async throws {
        let machine = try await Machine(nodes: "a")
        let good = try await machine.run(
            "node", "--check", "--set", "certificates.directory=\(machine.path("a"))", "--set", "node.roles=worker")
        #expect(good.ending == .code(0))
        #expect(good.output.contains { $0.hasPrefix("node.roles: [worker]") && $0.contains("# flag;") })
        #expect(good.output.contains { $0.hasPrefix("# llmgine://test/a, certificate valid until ") })
        let alone = try await machine.run("node", "--check")
        #expect(alone.ending == .code(78))
        #expect(alone.output.contains { $0.hasPrefix("node.listen: ") })
        #expect(alone.errors.last?.hasPrefix("llmgine: certificates.directory: is not set") == true)
        let bad = try await machine.run("node", "--check", "--set", "node.lisen=x")
        #expect(bad.ending == .code(78))
        #expect(bad.errors == ["llmgine: unknown key \"node.lisen\" (on the command line): did you mean node.listen?"])
    }

    @Test func `issues no certificate that outlives its authority, and says so`() async throws {
        let machine = try await Machine()
        let ca = machine.path("short")
        #expect(try await machine.run("certs", "init", "--cluster", "test", "--directory", ca, "--days", "20").ending == .code(0))
        let issued = try await machine.run("certs", "issue", "b", "--authority", ca)
        #expect(issued.ending == .code(0))
        let line = try #require(issued.output.first)
        #expect(line.hasPrefix("\(ca)/b: the certificate of llmgine://test/b, valid until "))
        #expect(line.hasSuffix("Z, when its authority ends"))
        let shorter = try await machine.run("certs", "issue", "c", "--authority", ca, "--days", "10")
        #expect(try #require(shorter.output.first).hasSuffix("Z"))
        let check = try await machine.run("node", "--check", "--set", "certificates.directory=\(ca)/b")
        #expect(check.ending == .code(0))
        #expect(check.errors.contains("llmgine: \(ca)/b/ca.pem expires in 19 days"))
    }

    @Test(arguments: [
        ["generate", "hi", "--max-tokens=-5"], ["generate", "hi", "--max-tokens", "0"], ["generate", "hi", "--timeout", "0s"],
        ["request", "x", "--timeout", "0ms"], ["request", "x", "--timeout", "25h"], ["pub", "x", "y", "--connect-timeout", "0s"],
        ["sub", "x", "--count=-1"],
    ])
    func `refuses a number that an option has no use for`(arguments: [String]) async throws {
        let refused = try await Machine().run(arguments)
        #expect(refused.ending == .code(64))
        #expect(refused.output == [])
        #expect(refused.errors.first?.contains(" must be ") == true)
    }

    @Test func `counts telemetry`() async throws {
        let machine = try await Machine(nodes: "a", "b")
        let sink = try machine.start("otlp-sink", "--port", "0", "--until-input-ends")
        let address = try #require(try await sink.line(.error, containing: "receiving telemetry").split(separator: " ").last)
        let a = try await machine.node("a", "telemetry.endpoint=\(address)")
        a.child.signal(SIGTERM)
        #expect(await a.child.exit() == .code(0))
        sink.signal(SIGTERM)
        let finished = await Finished(sink)
        #expect(finished.ending == .code(0))
        #expect(try JSONValue(parsing: finished.output.last ?? "")["requests"]?.int ?? 0 > 0)
    }

    @Test func `shows the README's code at work`() async throws {
        let quickStart = try ChildProcess("QuickStart", executable: Machine.program("QuickStart"), arguments: [])
        let finished = await Finished(quickStart)
        #expect(finished.ending == .code(0))
        #expect(finished.output == ["order 7 on orders.eu.placed from a", "1 subscriber; the pirate says: Arrr, ye scurvy dog! ahoy"])
    }
}
