import LLMgineLink
import Testing

@Suite struct `A port's gate` {
    private func limits(_ change: (inout AcceptGate.Limits) -> Void) -> AcceptGate.Limits {
        var limits = AcceptGate.Limits()
        change(&limits)
        return limits
    }

    @Test func `takes a hundred strangers at a time, and peers beside them`() {
        var gate = AcceptGate()
        for number in 0..<100 { #expect(gate.arrived(from: "10.0.0.\(number)", at: .zero) == nil) }
        #expect(gate.arrived(from: "10.0.1.1", at: .zero) == .tooManyPending)
        gate.identified()
        #expect(gate.arrived(from: "10.0.1.1", at: .zero) == nil)
        gate.left(wasIdentified: false)
        #expect((gate.pending, gate.total) == (99, 100))
        gate.left(wasIdentified: true)
        #expect((gate.pending, gate.total) == (99, 99))
    }

    @Test func `holds an address to its rate, and no other`() {
        var gate = AcceptGate(limits { $0.perAddress = .init(perSecond: 2, burst: 3) })
        for _ in 0..<3 { #expect(gate.arrived(from: "a", at: .seconds(5)) == nil) }
        #expect(gate.arrived(from: "a", at: .seconds(5)) == .addressTooFast)
        #expect(gate.arrived(from: "b", at: .seconds(5)) == nil)
        #expect(gate.arrived(from: "a", at: .milliseconds(5500)) == nil)
        #expect(gate.arrived(from: "a", at: .milliseconds(5501)) == .addressTooFast)
        #expect(gate.arrived(from: "a", at: .seconds(60)) == nil)
    }

    @Test func `holds all addresses together to a rate, and to a number`() {
        var gate = AcceptGate(
            limits {
                $0.overall = .init(perSecond: 1, burst: 2)
                $0.total = 3
            })
        #expect(gate.arrived(from: "a", at: .zero) == nil)
        #expect(gate.arrived(from: "b", at: .zero) == nil)
        #expect(gate.arrived(from: "c", at: .zero) == .tooFast)
        #expect(gate.arrived(from: "d", at: .seconds(1)) == nil)
        #expect(gate.arrived(from: "e", at: .seconds(9)) == .tooMany)
    }

    @Test func `forgets the address that owes least when it knows too many`() {
        var gate = AcceptGate(
            limits {
                $0.perAddress = .init(perSecond: 1, burst: 1)
                $0.addresses = 2
            })
        #expect(gate.arrived(from: "a", at: .zero) == nil)
        #expect(gate.arrived(from: "b", at: .milliseconds(500)) == nil)
        for number in 0..<50 { #expect(gate.arrived(from: "c\(number)", at: .milliseconds(500)) == nil) }
        #expect((gate.pending, gate.total) == (52, 52))
    }
}

@Suite struct `A frame that comes slowly` {
    @Test func `is cut off when less than a KiB a second comes of it`() {
        var rule = ProgressRule()
        var received: UInt64 = 0
        for second in 0..<10 {
            #expect(rule.ticked(at: .seconds(second), received: received, isOpen: true) == true)
            received += 1023
        }
        #expect(rule.ticked(at: .seconds(10), received: received, isOpen: true) == false)
    }

    @Test func `is waited for while it comes at that pace`() {
        var rule = ProgressRule()
        for second in 0..<100 { #expect(rule.ticked(at: .seconds(second), received: UInt64(second) * 1024, isOpen: true) == true) }
    }

    @Test func `is forgiven if none is open`() {
        var rule = ProgressRule()
        #expect(rule.ticked(at: .zero, received: 0, isOpen: true) == true)
        #expect(rule.ticked(at: .seconds(5), received: 10, isOpen: false) == true)
        #expect(rule.ticked(at: .seconds(10), received: 20, isOpen: true) == true)
        #expect(rule.ticked(at: .seconds(19), received: 20, isOpen: true) == true)
        #expect(rule.ticked(at: .seconds(20), received: 20, isOpen: true) == false)
    }
}
