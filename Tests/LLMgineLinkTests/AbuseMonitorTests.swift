import LLMgineCore
import LLMgineLink
import LLMgineWire
import Testing

@Suite struct `The abuse monitor` {
    @Test(arguments: AbuseMonitor.Class.allCases)
    func `lets each class have its rate for ever`(kind: AbuseMonitor.Class) {
        var monitor = AbuseMonitor()
        let step = Duration.seconds(1) / Int(kind.perSecond)
        for frame in 1...5000 { #expect(monitor.admits(kind, at: step * frame) == true) }
    }

    @Test(arguments: [AbuseMonitor.Class.link, .interest])
    func `lets ten seconds' worth come at once, and not one more`(kind: AbuseMonitor.Class) {
        var monitor = AbuseMonitor()
        let burst = Int(kind.perSecond) * 10
        for _ in 0..<burst { #expect(monitor.admits(kind, at: .seconds(1)) == true) }
        #expect(monitor.admits(kind, at: .seconds(1)) == false)
        #expect(monitor.admits(kind, at: .seconds(1)) == false)
        #expect(monitor.admits(kind, at: .seconds(2)) == true)
        #expect(monitor.admits(kind, at: .seconds(1_000_000)) == true)
    }

    @Test func `keeps the classes apart`() {
        var monitor = AbuseMonitor()
        while monitor.admits(.link, at: .seconds(1)) {}
        #expect(monitor.admits(.interest, at: .seconds(1)) == true)
    }

    @Test func `does not count what credit bounds`() {
        for type in FrameType.allCases {
            let isCounted = AbuseMonitor.Class(.sample(type)) != nil
            #expect(isCounted == ![.data, .fragment, .request, .reply, .callPart, .hello, .reject, .goodbye].contains(type))
        }
    }
}

@Suite struct `A close reason` {
    @Test(arguments: CloseReason.allCases)
    func `has its words`(reason: CloseReason) {
        #expect(!reason.text.isEmpty)
        #expect(CloseReason(rawValue: reason.rawValue) == reason)
        #expect(LinkClosure(reason, by: .peer).error.code == reason.errorCode)
    }

    @Test func `keeps the numbers that are on the wire`() {
        #expect(CloseReason.allCases.map(\.rawValue) == [0, 1, 2, 3, 4, 5, 6, 7, 10, 11, 12, 20, 21, 22, 23, 24, 25, 30, 31, 32, 33, 34])
    }
}
