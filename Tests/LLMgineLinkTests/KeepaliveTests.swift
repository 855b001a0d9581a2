import LLMgineLink
import LLMgineWire
import Testing

@Suite struct `A quiet link` {
    private static let tick = LinkSettings().tickInterval

    /// Ticks on time, from just after `start` up to and with `end`; gives the times at which something was done.
    private func run(_ link: inout LinkMachine, from start: Duration, to end: Duration, every tick: Duration = tick) -> [(
        at: Duration, [LinkAction]
    )] {
        var done: [(at: Duration, [LinkAction])] = []
        var now = start + tick
        while now <= end {
            let actions = link.ticked(at: now, nonce: UInt64(now / tick))
            if !actions.isEmpty { done.append((now, actions)) }
            now += tick
        }
        return done
    }

    @Test func `is asked each second for a sign of life, and dead after five`() {
        var link = LinkMachine.established()
        link.interest = (3, 0xABCD)
        let done = run(&link, from: .zero, to: .seconds(10))
        #expect(done.map(\.at) == [1, 2, 3, 4, 5].map(Duration.seconds))
        #expect(done[0].1 == [.send(.ping(PingFrame(nonce: 4, interestVersion: 3, interestHash: 0xABCD)))])
        #expect(done[4].1.goodbyeCode == CloseReason.keepaliveTimeout.rawValue)
        #expect(done[4].1.closure?.reason == .keepaliveTimeout)
    }

    @Test(arguments: [(1, 3), (3, 3), (7, 7), (10, 10), (60, 10)])
    func `may be given three to ten seconds`(configured: Int, effective: Int) {
        var link = LinkMachine.established(settings: LinkSettings(suspectAfter: .seconds(configured)))
        let done = run(&link, from: .zero, to: .seconds(20))
        #expect(done.last?.at == .seconds(effective))
        #expect(done.last?.1.closure?.reason == .keepaliveTimeout)
    }

    @Test func `is suspect from a second and a half of silence on, until it is heard`() {
        var link = LinkMachine.established()
        _ = run(&link, from: .zero, to: .milliseconds(1250))
        #expect(link.isSuspect == false)
        _ = run(&link, from: .milliseconds(1250), to: .milliseconds(1500))
        #expect(link.isSuspect == true)
        link.bytesArrived(at: .milliseconds(1600))
        #expect(link.isSuspect == false)
        _ = run(&link, from: .milliseconds(1500), to: .milliseconds(3000))
        #expect(link.isSuspect == false)
        _ = run(&link, from: .milliseconds(3000), to: .milliseconds(3250))
        #expect(link.isSuspect == true)
    }

    @Test func `is not suspect for our own stall`() {
        var link = LinkMachine.established()
        _ = link.ticked(at: .seconds(60))
        #expect(link.isSuspect == false)
    }

    @Test func `lives on by any byte`() {
        var link = LinkMachine.established()
        for second in 0..<60 {
            link.bytesArrived(at: .seconds(second))
            #expect(run(&link, from: .seconds(second), to: .milliseconds(second * 1000 + 750)).allSatisfy { $0.1.closure == nil })
        }
        #expect(link.phase == .established)
    }

    @Test func `that was heard has its full time again`() {
        var link = LinkMachine.established()
        #expect(run(&link, from: .zero, to: .milliseconds(4750)).last?.at == .seconds(4))
        link.bytesArrived(at: .milliseconds(4800))
        let done = run(&link, from: .milliseconds(4750), to: .seconds(20))
        #expect(done.first?.at == .seconds(6))  // the first tick with a second of silence behind it
        #expect(done.last?.at == .seconds(10))
    }

    @Test func `is not blamed for our own stall`() {
        var link = LinkMachine.established()
        #expect(run(&link, from: .zero, to: .milliseconds(750)).isEmpty)
        // A minute passes in which this process did not run: 59.75 s of it are ours, not the peer's.
        #expect(link.ticked(at: .milliseconds(60_750)).closure == nil)
        let done = run(&link, from: .milliseconds(60_750), to: .seconds(90))
        #expect(done.last?.at == .milliseconds(64_750))  // twenty ticks that saw nothing
        #expect(done.last?.1.closure?.reason == .keepaliveTimeout)
    }

    @Test func `gets no more time for a stall that its bytes have ended`() {
        var link = LinkMachine.established()
        link.bytesArrived(at: .seconds(60))
        #expect(link.ticked(at: .seconds(60)).closure == nil)
        #expect(run(&link, from: .seconds(60), to: .seconds(90)).last?.at == .seconds(65))
    }

    @Test func `is given more time by ticks that are always late`() {
        var link = LinkMachine.established()
        let done = run(&link, from: .zero, to: .seconds(60), every: .milliseconds(500))
        #expect(done.last?.at == .seconds(10))
        #expect(done.last?.1.closure?.reason == .keepaliveTimeout)
    }

    @Test func `is unmoved by a clock that goes back`() {
        var link = LinkMachine.established(at: .seconds(100))
        #expect(link.ticked(at: .seconds(50)) == [])
        link.bytesArrived(at: .seconds(40))
        #expect(run(&link, from: .seconds(100), to: .seconds(120)).last?.at == .seconds(105))
    }

    @Test func `measures the round trip by the ping that was last`() {
        var link = LinkMachine.established()
        #expect(link.roundTrip == nil)
        _ = link.ticked(at: .seconds(1), nonce: 41)
        _ = link.ticked(at: .seconds(2), nonce: 42)
        _ = link.received(.pong(PongFrame(nonce: 41)), at: .milliseconds(2001))
        #expect(link.roundTrip == nil)
        _ = link.received(.pong(PongFrame(nonce: 42)), at: .milliseconds(2003))
        #expect(link.roundTrip == .milliseconds(3))
        _ = link.received(.pong(PongFrame(nonce: 42)), at: .milliseconds(2900))
        #expect(link.roundTrip == .milliseconds(3))
    }
}

@Suite struct `A busy link` {
    @Test func `carries the interest hash every ten seconds`() {
        var link = LinkMachine.established()
        var pings: [Duration] = []
        for quarter in 1...120 {
            let now = Duration.milliseconds(quarter * 250)
            link.bytesArrived(at: now)
            if !link.ticked(at: now).isEmpty { pings.append(now) }
        }
        #expect(pings == [10, 20, 30].map(Duration.seconds))
    }
}
