import LLMgineCore
import LLMgineFlow
import Testing

@Suite struct `A window of what is to be acknowledged` {
    private func window(_ items: ClosedRange<Int>, messages: Int = 100, bytes: Int = 1000) -> RetransmitWindow<Int> {
        var window = RetransmitWindow<Int>(limits: .init(messages: messages, bytes: bytes))
        for item in items { window.append(item, bytes: 10, priority: .normal) }
        return window
    }

    private func send(_ window: inout RetransmitWindow<Int>, _ count: Int = .max) -> [Int] {
        var sent: [Int] = []
        while sent.count < count, let item = window.unsent(.normal) {
            sent.append(item)
            window.noteSent(.normal)
        }
        return sent
    }

    @Test func `lets go of what is acknowledged, in whatever order`() throws {
        var window = window(1...5)
        #expect(send(&window) == [1, 2, 3, 4, 5])
        #expect(try window.acknowledged(Acknowledgement(upTo: 1, beyond: [2..<4]), priority: .normal) == [1, 3, 4])
        #expect((window.messages, window.bytes) == (2, 20))
        #expect(try window.acknowledged(Acknowledgement(upTo: 5), priority: .normal) == [2, 5])
        #expect(window.isEmpty)
        #expect(try window.acknowledged(Acknowledgement(upTo: 5), priority: .normal) == [])
    }

    @Test func `sends what is left again from the oldest on when the link has broken`() throws {
        var window = window(1...5)
        #expect(send(&window, 4) == [1, 2, 3, 4])
        _ = try window.acknowledged(Acknowledgement(upTo: 0, beyond: [1..<2, 3..<4]), priority: .normal)
        window.restart()
        #expect(send(&window) == [1, 3, 5])
        #expect(try window.acknowledged(Acknowledgement(upTo: 2), priority: .normal) == [1, 3])
    }

    @Test(arguments: [
        Acknowledgement(upTo: 3), Acknowledgement(upTo: 0, beyond: [2..<3]), Acknowledgement(upTo: .max),
        Acknowledgement(upTo: 1, beyond: [1..<UInt64.max]),
    ])
    func `does not believe in acknowledgements of what was never sent`(ack: Acknowledgement) {
        var window = window(1...5)
        #expect(send(&window, 2) == [1, 2])
        #expect(throws: LLMgineError(.malformedFrame, "")) { try window.acknowledged(ack, priority: .normal) }
        #expect(window.messages == 5)
    }

    @Test func `has room by messages and bytes, and always for one`() {
        var window = window(1...2, messages: 3, bytes: 35)
        #expect(window.hasRoom(for: 15))
        #expect(!window.hasRoom(for: 16))
        window.append(3, bytes: 1, priority: .low)
        #expect(!window.hasRoom(for: 1))
        #expect(RetransmitWindow<Int>(limits: .init(messages: 3, bytes: 35)).hasRoom(for: 5000))
    }

    @Test func `gives up what must not be sent, without a place in the count`() throws {
        var window = window(1...3)
        #expect(send(&window, 1) == [1])
        #expect(window.removeUnsent(.normal) == 2)
        #expect(send(&window) == [3])
        #expect(try window.acknowledged(Acknowledgement(upTo: 2), priority: .normal) == [1, 3])
        #expect(window.isEmpty)
        #expect(window.removeUnsent(.normal) == nil)
    }

    @Test func `hands everything over, the most urgent first`() {
        var window = window(1...3)
        window.append(9, bytes: 1, priority: .urgent)
        #expect(window.removeAll() == [9, 1, 2, 3])
        #expect(window.isEmpty)
        #expect(send(&window) == [])
    }

    @Test func `keeps counting over thousands`() throws {
        var window = RetransmitWindow<Int>()
        for round in 0..<1000 {
            for item in 0..<10 { window.append(round * 10 + item, bytes: 1, priority: .normal) }
            _ = send(&window)
            let settled = try window.acknowledged(Acknowledgement(upTo: UInt64(round * 10 + 5)), priority: .normal)
            #expect(settled.count == (round == 0 ? 5 : 10))
        }
        #expect(window.messages == 5)
    }
}
