import LLMgineTestKit
import Testing

/// Ten thousand short runs of whole nodes, each from its seed. A failure names the seed; `bench/run simulate --seeds 1 --seed S --trouble T`
/// takes the same course again.
@Suite struct `Ten thousand short runs` {
    private static let runs: UInt64 = 10_000

    /// The runs of one kind of trouble, on two threads: a debug build does 60 to 100 of them in a second of one core.
    @Test(arguments: SimulatedTrouble.allCases)
    func `keep every promise`(under trouble: SimulatedTrouble) async {
        let kinds = UInt64(SimulatedTrouble.allCases.count)
        let count = (Self.runs + kinds - 1) / kinds
        let halves = await withTaskGroup(of: (Simulation.Tally, String?).self) { tasks in
            for half in 0..<2 as Range<UInt64> {
                tasks.addTask { Self.simulate(1 + half * count / 2...(half + 1) * count / 2, under: trouble) }
            }
            return await tasks.reduce(into: []) { $0.append($1) }
        }
        var tally = Simulation.Tally()
        for (part, failure) in halves {
            tally += part
            if let failure { Issue.record("\(failure)") }
        }
        // Something must have happened for it to mean something.
        #expect(tally.delivered > Int(count) && tally.answered > 0 && tally.established > 0, "\(tally)")
        #expect(tally.spilled > 0 && tally.buried > 0 && tally.relayed > 0 && tally.inflated > 0, "\(tally)")
    }

    private static func simulate(_ seeds: ClosedRange<UInt64>, under trouble: SimulatedTrouble) -> (Simulation.Tally, String?) {
        var tally = Simulation.Tally()
        for seed in seeds {
            let simulation = Simulation.run(seed: seed, trouble: trouble)
            tally += simulation.tally
            guard simulation.faults.isEmpty else {
                return (tally, "seed \(seed) under \(trouble): \(simulation.faults.prefix(3).joined(separator: "; "))")
            }
        }
        return (tally, nil)
    }

    @Test(arguments: 1...8 as ClosedRange<UInt64>)
    func `are told by their seed alone`(seed: UInt64) {
        #expect(Simulation.run(seed: seed).course == Simulation.run(seed: seed).course)
    }
}
