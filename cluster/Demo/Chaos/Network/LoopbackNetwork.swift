import LLMgine

/// Ports of this machine, with a proxy before each: works everywhere. Links that are cut are closed, as when a process ends; only stalled ones
/// are silent.
struct LoopbackNetwork: ChaosNetwork {
    private let places: [(port: Int, proxy: ChaosProxy)]

    init(nodes: Int) async throws {
        var places: [(Int, ChaosProxy)] = []
        for port in try await Stage.freePorts(nodes) { places.append((port, try await ChaosProxy(target: port))) }
        self.places = places
    }

    var name: String { "loopback" }
    func listens(_ node: Int) -> String { "127.0.0.1:\(places[node].port)" }
    func address(of node: Int) -> String { "127.0.0.1:\(places[node].proxy.port)" }
    func program(_ arguments: [String], at node: Int) -> Cast.Program { .demo(arguments) }

    func cut(_ node: Int) { places[node].proxy.cut() }
    func stall(_ node: Int) { places[node].proxy.stall() }
    func refuse(_ node: Int) {
        places[node].proxy.refuse()
        places[node].proxy.cut()
    }
    func restore(_ node: Int) { places[node].proxy.restore() }
    func close() async { for place in places { await place.proxy.close() } }
}
