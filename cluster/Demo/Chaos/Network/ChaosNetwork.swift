import ArgumentParser

/// Which network the nodes are to have.
enum ChaosNetworkChoice: String, ExpressibleByArgument, CaseIterable {
    /// Namespaces where they are permitted, else ports of this machine.
    case auto
    case namespaces
    case loopback
}

/// How nodes reach each other, and how that is taken from one of them.
protocol ChaosNetwork: Sendable {
    /// What the report calls it.
    var name: String { get }
    /// Where a node listens.
    func listens(_ node: Int) -> String
    /// Where the others reach it.
    func address(of node: Int) -> String
    /// The program that runs this one as a node at its place.
    func program(_ arguments: [String], at node: Int) -> Cast.Program

    /// Breaks the links of a node.
    func cut(_ node: Int) async throws
    /// Nothing gets to a node or away from it, and nobody is told.
    func stall(_ node: Int) async throws
    /// Nobody reaches the node any more, and somebody is told.
    func refuse(_ node: Int) async throws
    /// All is as it was.
    func restore(_ node: Int) async throws
    func close() async
}
