import LLMgineBroker
import LLMgineCore
import Testing

@Suite struct `A cluster of brokers` {
    /// Runs a few seconds of random work and trouble, then lets everything become quiet.
    private func simulate(_ seed: UInt64, count: Int, cuts: Bool, restarts: Bool = false, lossPercent: Int = 0) -> SimulatedCluster {
        var cluster = SimulatedCluster(seed: seed, count: count)
        cluster.lossPercent = lossPercent
        for _ in 0..<400 {
            let node = Int.random(in: 0..<count, using: &cluster.random)
            switch Int.random(in: 0..<100, using: &cluster.random) {
            case 0..<45: cluster.subscribe(node)
            case 45..<75: cluster.unsubscribe(node)
            case 75..<92: cluster.establish(node)
            case 92..<98: if cuts { cluster.cutSomeLink() }
            default: if restarts { cluster.restart(node) }
            }
            cluster.run(for: .milliseconds(Int.random(in: 0...60, using: &cluster.random)))
        }
        cluster.run(for: .seconds(25))
        return cluster
    }

    @Test(arguments: 1...8 as ClosedRange<UInt64>)
    func `agrees on interest when the network only delays`(seed: UInt64) {
        let cluster = simulate(seed, count: 3 + Int(seed % 6), cuts: false)
        #expect(cluster.disagreements() == [], "seed \(seed)")
        #expect(cluster.resolved > 0, "seed \(seed)")
    }

    @Test(arguments: 101...112 as ClosedRange<UInt64>)
    func `agrees on interest after links were cut`(seed: UInt64) {
        let cluster = simulate(seed, count: 3 + Int(seed % 6), cuts: true)
        #expect(cluster.disagreements() == [], "seed \(seed)")
    }

    @Test(arguments: 201...210 as ClosedRange<UInt64>)
    func `agrees on interest after nodes were killed and started again`(seed: UInt64) {
        let cluster = simulate(seed, count: 3 + Int(seed % 4), cuts: true, restarts: true)
        #expect(cluster.disagreements() == [], "seed \(seed)")
    }

    @Test(arguments: 301...306 as ClosedRange<UInt64>)
    func `finds its way back when updates are lost`(seed: UInt64) {
        let cluster = simulate(seed, count: 4, cuts: true, lossPercent: 15)
        #expect(cluster.disagreements() == [], "seed \(seed)")
    }
}
