import ClusterDemo
import Testing

@Suite struct `The troubles of the chaos` {
    private func troubles(seed: UInt64, _ count: Int, hasDisk: Bool = true) -> [ChaosTrouble] {
        var schedule = ChaosSchedule(seed: seed, nodes: 5, hasDisk: hasDisk)
        return (0..<count).map { _ in schedule.next() }
    }

    @Test func `come again with their seed, and differ between seeds`() {
        #expect(troubles(seed: 7, 100) == troubles(seed: 7, 100))
        #expect(troubles(seed: 7, 100) != troubles(seed: 8, 100))
    }

    @Test(arguments: 0..<10 as Range<UInt64>)
    func `have each kind in each round`(seed: UInt64) {
        var schedule = ChaosSchedule(seed: seed, nodes: 3, hasDisk: true)
        for round in 1...3 {
            var kinds: Set<ChaosTrouble.Kind> = []
            while schedule.rounds < round { kinds.insert(schedule.next().kind) }
            #expect(kinds == Set(ChaosTrouble.Kind.allCases), "round \(round) of seed \(seed)")
        }
    }

    @Test func `fill no disk where there is none, and only that of the node with a journal`() {
        #expect(!troubles(seed: 1, 200, hasDisk: false).contains { $0.kind.needsDisk })
        let full = troubles(seed: 1, 200).filter(\.kind.needsDisk)
        #expect(full.count > 10)
        #expect(full.allSatisfy { $0.node == 0 })
    }

    @Test func `reach every node, last as long as their kind may, and leave time between them`() {
        let all = troubles(seed: 3, 1000)
        #expect(Set(all.map(\.node)) == [0, 1, 2, 3, 4])
        #expect(all.filter { $0.kind == .stop }.contains { $0.lasts > .seconds(5) }, "longer than it takes to be given up")
        #expect(all.allSatisfy { $0.lasts <= .seconds(7) && $0.pause >= .milliseconds(50) && $0.pause <= .milliseconds(500) })
    }
}
