import LLMgineCore
import LLMgineFlow
import Testing

@Suite struct `The intake of a subscription` {
    private func id(_ sequence: UInt64) -> MessageID { MessageID(node: "a", incarnation: Incarnation(1), sequence: sequence) }

    private func arrive(_ intake: inout DeliveryIntake, _ sequence: UInt64, over link: UInt64 = 1) -> DeliveryIntake.Arrival {
        intake.arrived(id(sequence), over: link, priority: .normal, at: .zero).0
    }

    @Test func `acknowledges what was settled, soon, and at once when it is much`() {
        var intake = DeliveryIntake(window: DeduplicationWindow())
        for sequence: UInt64 in 1...64 { #expect(arrive(&intake, sequence) == .deliver) }
        #expect(intake.takeAcknowledgements(over: 1).isEmpty)
        #expect(intake.settled(id(1)).map(\.due) == [.soon])
        for sequence: UInt64 in 2...63 { #expect(intake.settled(id(sequence)).map(\.due) == [.not]) }
        #expect(intake.settled(id(64)).map(\.due) == [.now])
        #expect(intake.takeAcknowledgements(over: 1).map(\.1) == [Acknowledgement(upTo: 64)])
        #expect(intake.openCount == 0)
    }

    @Test func `acknowledges a message that came again without giving it to the handler`() {
        var intake = DeliveryIntake(window: DeduplicationWindow())
        #expect(arrive(&intake, 1) == .deliver)
        _ = intake.settled(id(1))
        intake.linkEnded(1)
        #expect(arrive(&intake, 1, over: 2) == .duplicate)
        #expect(intake.duplicates == 1)
        #expect(intake.takeAcknowledgements(over: 1).isEmpty)
        #expect(intake.takeAcknowledgements(over: 2).map(\.1) == [Acknowledgement(upTo: 1)])
    }

    @Test func `acknowledges over the new link what came over the old one and is settled now`() {
        var intake = DeliveryIntake(window: DeduplicationWindow())
        #expect(arrive(&intake, 1) == .deliver)
        #expect(arrive(&intake, 2) == .deliver)
        intake.linkEnded(1)
        #expect(arrive(&intake, 1, over: 2) == .underWay)
        #expect(arrive(&intake, 2, over: 2) == .underWay)
        let dues = intake.settled(id(2))
        #expect(dues.map(\.due) == [.soon])
        #expect(intake.takeAcknowledgements(over: 2).map(\.1) == [Acknowledgement(upTo: 0, beyond: [1..<2])])
    }

    @Test func `keeps one place for a message that one link brings again and again`() {
        var intake = DeliveryIntake(window: DeduplicationWindow())
        #expect(arrive(&intake, 1) == .deliver)
        let (arrival, due) = intake.arrived(id(1), over: 1, priority: .normal, at: .zero)
        #expect(arrival == .underWay)
        #expect(due == .soon)
        for _ in 0..<1000 { #expect(arrive(&intake, 1) == .underWay) }
        #expect(intake.openCount == 1)
        // The repeats are settled, and the first of them is not before the handler is done with it.
        #expect(intake.takeAcknowledgements(over: 1).map(\.1) == [Acknowledgement(upTo: 0, beyond: [1..<1002])])
        #expect(intake.settled(id(1)).map(\.link) == [1])
        #expect(intake.takeAcknowledgements(over: 1).map(\.1) == [Acknowledgement(upTo: 1002)])
        #expect(intake.duplicates == 1001)
    }

    @Test func `keeps one place for each link and class that brings a message, and none for a link that has ended`() {
        var intake = DeliveryIntake(window: DeduplicationWindow())
        for _ in 0..<3 {
            for link: UInt64 in 1...3 {
                for priority in [Priority.normal, .low] { _ = intake.arrived(id(1), over: link, priority: priority, at: .zero) }
            }
        }
        for link: UInt64 in 4...100 {
            intake.linkEnded(link - 1)
            #expect(arrive(&intake, 1, over: link) == .underWay)
        }
        #expect(intake.settled(id(1)).map(\.link) == [1, 1, 2, 2, 100])
        #expect(intake.takeAcknowledgements(over: 100).map(\.1) == [Acknowledgement(upTo: 1)])
    }

    @Test func `does not acknowledge what nobody has handled`() {
        var intake = DeliveryIntake(window: DeduplicationWindow())
        #expect(arrive(&intake, 1) == .deliver)
        intake.returned(id(1))
        #expect(intake.settled(id(1)).isEmpty)
        #expect(arrive(&intake, 1, over: 2) == .deliver)
    }
}
