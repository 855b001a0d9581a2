import LLMgineCore
import LLMgineRouting
import LLMgineWire
import NIOCore

/// A place that answers requests, with as many handlers as it has slots.
final class SimulatedResponder {
    unowned let desk: SimulatedDesk
    let flow: UInt32
    let filter: TopicFilter
    let concurrency: Int
    /// What requests of its own node were granted.
    var granted: UInt64
    private var running: [SimulatedAnswer] = []
    private var waiting: [SimulatedAnswer] = []
    private var isStopped = false

    init(_ desk: SimulatedDesk, flow: UInt32, filter: TopicFilter, concurrency: Int) {
        self.desk = desk
        self.flow = flow
        self.filter = filter
        self.concurrency = concurrency
        granted = UInt64(concurrency)
    }

    var entry: InterestEntry {
        InterestEntry(flow: flow, kind: .responder, filters: [filter], windowMessages: UInt64(concurrency), windowBytes: .max)
    }

    func serve(_ answer: SimulatedAnswer) {
        guard !isStopped else { return answer.finish(.stopped) }
        guard running.count < concurrency else { return waiting.append(answer) }
        running.append(answer)
        answer.run()
    }

    func finished(_ answer: SimulatedAnswer) {
        running.removeAll { $0 === answer }
        guard !isStopped, !waiting.isEmpty, running.count < concurrency else { return }
        let next = waiting.removeFirst()
        running.append(next)
        next.run()
    }

    /// What runs is cancelled, what waits is refused.
    func stop() {
        isStopped = true
        let (ends, refused) = (running, waiting)
        waiting = []
        for answer in refused { answer.finish(.stopped) }
        for answer in ends { answer.stopped() }
    }
}

/// The responder's end of one request: `LocalCall` and `RemoteCall` of the bus, with the handler.
final class SimulatedAnswer {
    unowned let desk: SimulatedDesk
    let number: UInt64
    private let responder: SimulatedResponder
    private let until: Duration
    /// Nil for a request of this node. The desk is then the requester's as well.
    private unowned let link: SimulatedLink?
    private var granted: UInt64
    private var sent: UInt64 = 0
    private var left: Int
    private var isOver = false
    private var isCancelled = false
    private var isRunning = false

    init(
        _ desk: SimulatedDesk, number: UInt64, responder: SimulatedResponder, window: UInt64, until: Duration, link: SimulatedLink?
    ) {
        self.desk = desk
        self.number = number
        self.responder = responder
        self.until = until
        self.link = link
        granted = window
        left = desk.simulation.draw(6)
    }

    private var simulation: Simulation { desk.simulation }

    /// The handler begins.
    func run() {
        isRunning = true
        if isCancelled { return finish(nil) }
        if simulation.now >= until { return finish(.deadlineExceeded) }
        let delay = simulation.chance(90) ? simulation.draw(40_000) : simulation.draw(3_000_000)
        simulation.plan(in: Int64(delay), on: desk.node) { [self] in proceed() }
    }

    /// Sends what there is room for.
    private func proceed() {
        guard isRunning, !isOver else { return }
        while left > 0 {
            guard sent < granted || simulation.broken == .ignoresReplyCredit else { return }
            sent += 1
            left -= 1
            let isLast = left == 0 && simulation.chance(50)
            reply(isLast: isLast)
            if isLast { return end() }
        }
        finish(simulation.chance(10) ? .remoteError : nil)
    }

    /// More room, as an absolute count.
    func granted(_ count: UInt64) {
        granted = max(granted, count)
        proceed()
    }

    /// The requester gave up, or is gone.
    func cancelled() {
        guard !isOver else { return }
        isCancelled = true
        // A handler may take its time to listen.
        guard isRunning else { return }
        simulation.plan(in: Int64(simulation.draw(2000)), on: desk.node) { [self] in finish(nil) }
    }

    func stopped() {
        guard !isOver else { return }
        finish(.cancelled)
    }

    /// The handler has returned, or there was none.
    func finish(_ error: LLMgineError.Code?) {
        guard !isOver else { return }
        if !isCancelled {
            if let error { fail(error) } else { bareEnd() }
        }
        end()
    }

    private func end() {
        isOver = true
        responder.finished(self)
        guard let link else { return desk.slotFreed(responder) }
        link.requests[number] = nil
        guard simulation.broken != .keepsSlot, let slots = link.slots[responder.flow] else { return }
        link.slots[responder.flow] = (slots.granted + 1, slots.used)
        link.send(.grant(GrantFrame(flow: responder.flow, maximumMessages: slots.granted + 1, maximumBytes: .max)))
    }

    private func reply(isLast: Bool) {
        guard let link else {
            _ = desk.replied(number, isBareEnd: false, isLast: isLast)
            return
        }
        let message = Message(topic: "replies", payload: ByteBuffer(integer: number))
        for _ in 0..<(simulation.broken == .answersTwice ? 2 : 1) {
            _ = link.send(encoding: message) { [number] run in .reply(ReplyFrame(request: number, isLast: isLast, message: run)) }
        }
    }

    private func bareEnd() {
        guard let link else {
            _ = desk.replied(number, isBareEnd: true, isLast: true)
            return
        }
        var run = ByteBuffer()
        MessageWriter.write(MessageFields(topicRef: 0), payload: ByteBuffer(), into: &run)
        link.send(.reply(ReplyFrame(request: number, isLast: true, message: run)))
    }

    private func fail(_ error: LLMgineError.Code) {
        guard let link else { return desk.replied(number, error) }
        link.send(.replyError(ReplyErrorFrame(request: number, code: error.rawValue, detail: "")))
    }
}
