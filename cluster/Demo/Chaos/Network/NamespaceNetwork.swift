import LLMgine
import LLMgineTestKit

/// A network of its own for each node, with a cable from each to one bridge. What is taken away vanishes: no connection is closed, packets just do
/// not come.
///
/// ```
/// namespace of the orchestrator:  bridge hub ─┬─ n0 ══ cable ══ eth0 of n0: 10.77.0.1
///                                             ├─ n1 ══ cable ══ eth0 of n1: 10.77.0.2
///                                             └─ ...
/// ```
/// A process that does nothing keeps each namespace while its node is dead. It ends when its input ends, that is, with us.
struct NamespaceNetwork: ChaosNetwork {
    private let keepers: [ChildProcess]
    private let ip: SystemTool
    private let nsenter: SystemTool

    /// Needs a network namespace around this process: interfaces are made there.
    init(nodes: Int) async throws {
        ip = try SystemTool("ip")
        nsenter = try SystemTool("nsenter")
        let unshare = try SystemTool("unshare")
        try await ip.run("link", "add", "hub", "type", "bridge", "forward_delay", "0")
        try await ip.run("link", "set", "hub", "up")
        var keepers: [ChildProcess] = []
        for node in 0..<nodes {
            let name = Chaos.name(node)
            let keeper = try ChildProcess(
                "namespace of \(name)", executable: unshare.path, arguments: ["--net", "/bin/sh", "-c", "echo entered; exec cat"])
            try await patiently(.seconds(10), "the namespace of \(name)") { _ = try await keeper.line(.output, containing: "entered") }
            keepers.append(keeper)
            try await ip.run("link", "add", name, "type", "veth", "peer", "name", "eth0", "netns", "\(keeper.pid)")
            try await ip.run("link", "set", name, "master", "hub", "up")
        }
        self.keepers = keepers
        for node in 0..<nodes {
            try await configure(node, "addr", "add", "\(host(node))/24", "dev", "eth0")
            for device in ["lo", "eth0"] { try await configure(node, "link", "set", device, "up") }
        }
    }

    private func host(_ node: Int) -> String { "10.77.0.\(node + 1)" }

    var name: String { "namespaces" }
    func listens(_ node: Int) -> String { "\(host(node)):7400" }
    func address(of node: Int) -> String { listens(node) }
    func program(_ arguments: [String], at node: Int) -> Cast.Program {
        .command(nsenter.path, [entry(node), Cast.Program.demo([]).executable] + arguments)
    }

    private func entry(_ node: Int) -> String { "--net=/proc/\(keepers[node].pid)/ns/net" }

    /// Calls `ip` on a node's own interfaces.
    private func configure(_ node: Int, _ arguments: String...) async throws {
        try await nsenter.run([entry(node), ip.path] + arguments)
    }

    /// Pulls the cable out: the interface of the node sees that.
    func cut(_ node: Int) async throws { try await ip.run("link", "set", Chaos.name(node), "down") }

    /// Takes the far end of the cable off the bridge: the interface of the node sees nothing.
    func stall(_ node: Int) async throws { try await ip.run("link", "set", Chaos.name(node), "nomaster") }

    /// The node has no way to the others: what it sends is an error there and then, what is sent to it comes, and no answer gets away.
    func refuse(_ node: Int) async throws {
        for other in keepers.indices where other != node { try await configure(node, "route", "add", "unreachable", "\(host(other))/32") }
    }

    func restore(_ node: Int) async throws {
        try await ip.run("link", "set", Chaos.name(node), "master", "hub", "up")
        try await configure(node, "route", "flush", "type", "unreachable")
    }

    /// Nothing is left once nobody keeps the namespaces, and the one that we are in ends with us.
    func close() async {
        for keeper in keepers {
            keeper.endInput()
            _ = await keeper.exit()
        }
    }
}
