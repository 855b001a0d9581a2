import LLMgineTestKit
import Testing

/// A checker that finds nothing may be blind. So the nodes break one rule at a time, and it must be noticed within a thousand runs.
@Suite struct `A broken rule` {
    @Test(arguments: BrokenRule.allCases)
    func `is found within a thousand runs`(rule: BrokenRule) {
        let found = (1...1000 as ClosedRange<UInt64>).first { !Simulation.run(seed: $0, broken: rule).faults.isEmpty }
        #expect(found != nil, "\(rule) was not noticed")
    }
}
