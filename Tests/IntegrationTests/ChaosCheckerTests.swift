import ClusterDemo
import Testing

/// Histories written by hand: one line each for what a node did, as `ChaosHistory` has them.
@Suite struct `The checker of the chaos` {
    /// n0 in its first life, as incarnation 100, and n1 as 200; both end as they should unless something else is said.
    private func verdict(_ publisher: [String], _ subscribers: [String]..., ends: Bool = true) -> ChaosVerdict {
        let zero = ["i 100"] + publisher + (ends ? ["z"] : [])
        let ones = subscribers.map { ["i 200"] + $0 + ["z"] }
        return ChaosChecker([(0, bytes(zero))] + ones.map { (1, bytes($0)) }).verdict
    }

    private func bytes(_ lines: [String]) -> [UInt8] { Array(lines.map { $0 + "\n" }.joined().utf8) }

    // MARK: At least once: `k strength target n matched rejected`, `h strength publisher incarnation n`

    @Test func `finds every event that was accepted with its handler, and counts what was rejected`() {
        let verdict = verdict(
            ["k 0 1 1 1 0", "k 0 1 2 1 0", "k 0 1 3 1 1", "k 0 1 4 0 0", "k 1 1 5 1 0"], ["h 0 0 100 1", "h 0 0 100 2", "h 1 0 100 5"])
        #expect((verdict.kept.accepted, verdict.kept.handled, verdict.kept.rejected) == (2, 2, 1))
        #expect((verdict.durable.accepted, verdict.durable.handled) == (1, 1))
        #expect((verdict.lostSilently, verdict.orderViolations, verdict.duplicates) == (0, 0, 0))
        #expect(verdict.complaints == [])
    }

    @Test func `calls lost what a publisher accepted that ended well, and nobody handled`() {
        let verdict = verdict(["k 0 1 1 1 0", "k 0 1 2 1 0"], ["h 0 0 100 1"])
        #expect((verdict.kept.lostSilently, verdict.lostSilently) == (1, 1))
        #expect(verdict.complaints == ["kept event 2 of life 0, n0, never came to n1"])
        #expect(!verdict.isWell)
    }

    @Test func `excuses the loss of an event that is not durable with its killed publisher, and of no durable one`() {
        let verdict = verdict(["k 0 1 1 1 0", "k 1 1 2 1 0"], [], ends: false)
        #expect((verdict.kept.lostWithPublisher, verdict.kept.lostSilently) == (1, 0))
        #expect((verdict.durable.lostWithPublisher, verdict.durable.lostSilently, verdict.lostSilently) == (0, 1, 1))
    }

    @Test func `is content with a dead letter, wherever it is`() {
        #expect(verdict(["k 0 1 1 1 0", "y 0 0 100 1"], []).kept.deadLettered == 1)
        let there = verdict(["k 1 1 1 1 0"], ["y 1 0 100 1"])
        #expect((there.durable.deadLettered, there.lostSilently) == (1, 0))
    }

    @Test func `takes an event twice in one life for a fault, and in the next one for permitted`() {
        let again = verdict(["k 0 1 1 1 0"], ["h 0 0 100 1", "h 0 0 100 1"])
        #expect((again.duplicates, again.kept.redelivered) == (1, 0))
        let later = verdict(["k 0 1 1 1 0"], ["h 0 0 100 1"], ["h 0 0 100 1"])
        #expect((later.duplicates, later.kept.redelivered, later.kept.handled) == (0, 1, 1))
    }

    @Test func `sees events of one publisher out of order, within each life of the subscriber`() {
        let lines = ["k 0 1 1 1 0", "k 0 1 2 1 0", "k 1 1 3 1 0"]
        #expect(verdict(lines, ["h 0 0 100 2", "h 0 0 100 1", "h 1 0 100 3"]).orderViolations == 1)
        #expect(verdict(lines, ["h 1 0 100 3", "h 0 0 100 1", "h 0 0 100 2"]).orderViolations == 0, "durable ones are a row of their own")
        #expect(verdict(lines, ["h 0 0 100 2", "h 1 0 100 3"], ["h 0 0 100 1"]).orderViolations == 0)
        // What an earlier life of the publisher left comes under its identity there.
        #expect(verdict(lines, ["h 0 0 100 2", "h 0 0 99 7"]).orderViolations == 0)
    }

    @Test func `complains of an event that is handled though its publish was refused`() {
        let verdict = verdict(["q 1 1", "q 1 2"], ["h 1 0 100 2"])
        #expect((verdict.refused, verdict.refusedButHandled) == (2, 1))
        #expect(verdict.complaints == ["durable event 2 was refused, and handled all the same"])
    }

    // MARK: At most once: `p target n topic priority matched rejected before after time`

    /// Published long after the link of label 1 came up, where all is settled.
    private func published(_ number: Int, label: Int = 1) -> String { "p 1 \(number) 0 2 1 0 \(label) \(label) \(number * 1_000_000)" }
    private func handled(_ number: Int, missed: Int = 0) -> String { "d 0 0 100 \(number) 0 2 \(missed)" }
    /// The same for the three subscriptions that are not looked at.
    private func others(_ numbers: Int...) -> [String] { numbers.flatMap { number in (1...3).map { "d \($0) 0 100 \(number) 0 2 0" } } }

    @Test func `finds an event that is missing in the middle of a link, unless a gap marker tells of it`() {
        let lines = [published(1), published(2), published(3)]
        #expect(verdict(lines, [handled(1), handled(3)] + others(1, 2, 3)).lostSilently == 1)
        let told = verdict(lines, [handled(1), handled(3, missed: 1)] + others(1, 2, 3))
        #expect((told.lostSilently, told.evicted) == (0, 1))
    }

    @Test func `lets a link that ends take the rest along`() {
        let verdict = verdict([published(1), published(2), published(3, label: 2)], [handled(1), handled(3)] + others(1, 2, 3))
        #expect((verdict.lostSilently, verdict.lostWithLinks) == (0, 1))
    }

    @Test func `counts ends of links that go on with other certificates, which break no link`() {
        let verdict = verdict([published(1), "m 1", published(2), published(3)], [handled(1), handled(3)] + others(1, 2, 3))
        #expect((verdict.renewals, verdict.lostSilently) == (1, 1))
    }

    // MARK: Requests: `r n responders time`, `o n outcome`, and `t` when the life is asked to end

    private func requests(_ lines: [String], ends: Bool = true, restarts: [ClosedRange<Int>] = []) -> ChaosVerdict {
        var times = ChaosTimes()
        times.rollingRestarts = restarts
        return ChaosChecker([(0, bytes(["i 100"] + lines + (ends ? ["z"] : [])))], times: times).verdict
    }

    @Test func `counts requests by how they ended, and those whose process was killed`() {
        let lines = ["r 1 2 10", "r 2 2 20", "o 1 0", "o 2 5", "r 3 0 30", "o 3 1", "r 4 2 40"]
        var expected = RequestAccount()
        expected.made = 4
        expected.answered = 1
        expected.cutOff = 1
        expected.failed = [.peerLost: 1, .noResponders: 1]
        let killed = requests(lines, ends: false)
        #expect(killed.requests == expected)
        #expect(killed.complaints == [])
    }

    @Test func `complains of a request that never ends`() {
        let late = requests(["r 1 2 10", "o 1 10"])
        #expect(late.requests.failed == [.never: 1])
        #expect(late.complaints == ["request 1 of n0: never"])
        let none = requests(["r 1 2 10"])
        #expect(none.requests.failed == [.never: 1])
        #expect(none.complaints == ["request 1 of n0 has no outcome, and its process ended well"])
        #expect(!none.isWell)
    }

    @Test func `complains of a request that had two responders and failed in a rolling restart`() {
        let lines = ["r 1 2 10", "o 1 5", "r 2 2 100", "o 2 0", "r 3 2 150", "o 3 5", "r 4 2 201", "o 4 5"]
        let verdict = requests(lines, restarts: [100...200])
        #expect(verdict.requests.failedInRollingRestart == 1)
        #expect(verdict.complaints == ["request 3 of n0 had two responders, and failed in a rolling restart: peer_lost"])
        let fewer = requests(["r 1 1 150", "o 1 1"], restarts: [100...200])
        #expect(fewer.requests.failedInRollingRestart == 0)
        let own = requests(["r 1 2 150", "t", "o 1 7"], restarts: [100...200])
        #expect(own.requests.failedInRollingRestart == 0)
        #expect(own.requests.failed == [.stopped: 1])
        #expect(own.complaints == [])
    }

    // MARK: Restored links: `a peer time`

    private func resumes(_ zero: [String], _ one: [String], _ times: ChaosTimes) -> ChaosVerdict {
        ChaosChecker([(0, bytes(["i 100"] + zero + ["z"])), (1, bytes(["i 200"] + one + ["z"]))], times: times).verdict
    }

    @Test func `measures from a restoration to the first event each way, and tells the longest`() {
        var times = ChaosTimes()
        times.troubles = [.init(node: 1, time: 1000)]
        times.restorations = [.init(node: 1, time: 5000)]
        let verdict = resumes(["a 1 900", "a 1 5300", "a 1 9000"], ["a 0 900", "a 0 5800", "a 0 6000"], times)
        #expect((verdict.resumes, verdict.resumesInterrupted, verdict.longestResume) == (2, 0, 800))
    }

    @Test func `measures nothing across the next trouble of one of the two, and heeds no trouble of others`() {
        var times = ChaosTimes()
        times.restorations = [.init(node: 1, time: 5000)]
        times.troubles = [.init(node: 2, time: 5100)]
        #expect(resumes(["a 1 5300"], [], times).longestResume == 300)
        for node in [0, 1, nil] {
            times.troubles = [.init(node: node, time: 5100)]
            let verdict = resumes(["a 1 5300"], [], times)
            #expect((verdict.resumes, verdict.resumesInterrupted, verdict.longestResume) == (0, 1, 0))
        }
    }

    @Test func `leaves out half a line at the end of a killed process`() {
        let history = bytes(["i 100", "k 1 1 7 1 0"]) + Array("k 1 1 8 1".utf8)
        #expect(ChaosChecker([(0, history)]).verdict.durable.accepted == 1)
    }
}
