import LLMgineBroker
import LLMgineCore
import LLMgineRouting
import LLMgineWire
import NIOCore

/// The requests and responders of one node: `RequestDesk` of the bus around the real request table.
final class SimulatedDesk {
    unowned let simulation: Simulation
    unowned let node: SimulatedNode
    private let name: NodeID
    private var table: RequestTable
    private var calls: [UInt64: SimulatedCall] = [:]
    private var responders: [SimulatedResponder] = []
    private var links: [LinkID: SimulatedLink] = [:]
    private var local: [UInt64: SimulatedAnswer] = [:]
    private var draining: Set<LinkID> = []
    private var lastRequest: UInt64 = 0
    private var alarm: Duration?

    /// How late after its deadline a request may end: guarantee G9.
    static let grace = Duration.milliseconds(100)

    init(_ node: SimulatedNode) {
        self.node = node
        simulation = node.simulation
        name = node.name
        table = RequestTable(own: node.name, queueLimit: 20)
    }

    // MARK: Responders

    var flows: [UInt32] { responders.map(\.flow) }
    func has(_ flow: UInt32) -> Bool { responders.contains { $0.flow == flow } }
    func responder(_ flow: UInt32) -> SimulatedResponder? { responders.first { $0.flow == flow } }
    func knows(_ flow: UInt32, of link: LinkID) -> Bool { known.contains(ResponderID(link: link, flow: flow)) }
    private(set) var known: Set<ResponderID> = []
    var openCalls: Int { calls.count }

    func respond(_ filter: TopicFilter, concurrency: Int) {
        let responder = SimulatedResponder(self, flow: node.nextFlow(), filter: filter, concurrency: concurrency)
        responders.append(responder)
        let id = ResponderID(link: .local, flow: responder.flow)
        change { [self] table, actions in
            table.responderAdded(id, node: name, entry: responder.entry)
            table.creditChanged(id, granted: responder.granted, into: &actions)
        }
        node.announce(responder.entry)
    }

    func stopSomeResponder() {
        guard let responder = simulation.pick(responders) else { return }
        responders.removeAll { $0 === responder }
        change { $0.responderRemoved(ResponderID(link: .local, flow: responder.flow), into: &$1) }
        node.withdraw(responder.flow)
        responder.stop()
    }

    func added(_ entry: InterestEntry, node: NodeID, over link: SimulatedLink) {
        links[link.id] = link
        let id = ResponderID(link: link.id, flow: entry.flow)
        known.insert(id)
        change { [self] table, actions in
            table.responderAdded(id, node: node, entry: entry)
            if draining.contains(link.id) { table.peerDraining(link.id, into: &actions) }
            table.creditChanged(id, granted: entry.windowMessages, into: &actions)
        }
    }

    func removed(_ flow: UInt32, link: LinkID) {
        known.remove(ResponderID(link: link, flow: flow))
        change { $0.responderRemoved(ResponderID(link: link, flow: flow), into: &$1) }
    }

    func granted(_ flow: UInt32, link: LinkID, _ count: UInt64) {
        change { $0.creditChanged(ResponderID(link: link, flow: flow), granted: count, into: &$1) }
    }

    func peerDraining(_ link: LinkID) {
        draining.insert(link)
        change { $0.peerDraining(link, into: &$1) }
    }

    func peerLost(_ link: LinkID) {
        links[link] = nil
        draining.remove(link)
        known = known.filter { $0.link != link }
        change { $0.peerLost(link, into: &$1) }
    }

    /// A request must not wait for its deadline when the link to its responder is gone.
    func checkNothingIsLeft(on link: LinkID) {
        for call in calls.values where call.link == link {
            simulation.fault("request \(call.number) of \(name) is still open although \(link) is gone")
        }
    }

    /// The free slots of the responders that others have here must come back to what they were.
    func leakedSlots() -> [String] {
        known.sorted { ($0.link, $0.flow) < ($1.link, $1.flow) }.compactMap { id in
            guard let link = links[id.link], !link.wire.isCut, let theirs = link.peer.desk.responder(id.flow) else { return nil }
            let free = table.free(id)
            return free == UInt64(theirs.concurrency)
                ? nil : "\(name) has \(free) of \(theirs.concurrency) slots of \(link.peer.name)/\(id.flow)"
        }
    }

    var disagreements: [String] {
        var found: [String] = []
        if !calls.isEmpty { found.append("\(name) has \(calls.count) open requests") }
        if table.waiting != 0 || table.inFlight != 0 {
            found.append("the request table of \(name) holds \(table.waiting) waiting and \(table.inFlight) sent requests")
        }
        return found
    }

    // MARK: Requests

    func start(_ topic: Topic, deadline: Duration, givesUp: Bool) {
        lastRequest += 1
        let number = lastRequest
        simulation.tally.requests += 1
        let call = SimulatedCall(
            self, number: number, topic: topic, deadline: simulation.now + deadline, window: UInt64(1 + simulation.draw(3)))
        calls[number] = call
        let random = (simulation.random.next(), simulation.random.next())
        change { [now = simulation.now] in
            $0.requestStarted(number, topic: topic, deadline: call.deadline, random: random, at: now, into: &$1)
        }
        simulation.plan(at: (call.deadline + SimulatedDesk.grace).microseconds + 1, on: node) { [self] in
            guard calls[number] != nil, !node.wasPaused(since: call.deadline) else { return }
            simulation.fault("request \(number) of \(name) has no outcome 100 ms after its deadline")
        }
        guard givesUp else { return }
        simulation.plan(in: Int64(simulation.draw(300_000)), on: node) { [self] in change { $0.cancelled(number, into: &$1) } }
    }

    /// - Returns: false if the reply came without room.
    func replied(_ number: UInt64, isBareEnd: Bool, isLast: Bool) -> Bool {
        guard table.isOpen(number), let call = calls[number] else { return true }
        let isWithinRoom = isBareEnd || call.received()
        if isLast {
            _ = table.finished(number)
            end(number, .answered)
        }
        return isWithinRoom
    }

    func replied(_ number: UInt64, _ error: LLMgineError.Code) {
        guard table.isOpen(number), calls[number] != nil else { return }
        _ = table.finished(number)
        end(number, .failed(error))
    }

    func slotFreed(_ responder: SimulatedResponder) {
        guard has(responder.flow), simulation.broken != .keepsSlot else { return }
        responder.granted += 1
        change { $0.creditChanged(ResponderID(link: .local, flow: responder.flow), granted: responder.granted, into: &$1) }
    }

    private enum Outcome {
        case answered
        case failed(LLMgineError.Code)
    }

    private func end(_ number: UInt64, _ outcome: Outcome) {
        guard let call = calls.removeValue(forKey: number) else {
            return simulation.fault("request \(number) of \(name) ends twice")
        }
        local[number] = nil
        switch outcome {
        case .answered: simulation.tally.answered += 1
        case .failed(let code):
            switch code {
            case .noResponders, .noCapacity, .deadlineExceeded, .cancelled, .peerLost, .remoteError, .stopped: break
            default: simulation.fault("request \(number) of \(name) ends as \(code)")
            }
        }
        if simulation.now > call.deadline + SimulatedDesk.grace, !node.wasPaused(since: call.deadline) {
            simulation.fault("request \(number) of \(name) ends \(simulation.now - call.deadline) after its deadline")
        }
    }

    private func change(_ body: (inout RequestTable, inout [RequestAction]) -> Void) {
        var actions: [RequestAction] = []
        body(&table, &actions)
        rearm()
        for action in actions { perform(action) }
    }

    private func rearm() {
        guard let next = table.nextDeadline, simulation.broken != .ignoresDeadlines else { return }
        if let alarm, alarm <= next, alarm > simulation.now { return }
        alarm = next
        simulation.plan(at: next.microseconds + 1, on: node) { [self] in
            alarm = nil
            change { [now = simulation.now] in $0.ticked(at: now, into: &$1) }
        }
    }

    private func perform(_ action: RequestAction) {
        switch action {
        case .queued: break
        case .fail(let number, let error): end(number, .failed(error.code))
        case .cancel(let number, let responder):
            local.removeValue(forKey: number)?.cancelled()
            links[responder.link]?.send(.cancel(CancelFrame(request: number)))
        case .dispatch(let number, let id, _): dispatch(number, to: id)
        }
    }

    private func dispatch(_ number: UInt64, to id: ResponderID) {
        guard let call = calls[number] else { return }
        if id.link == .local {
            guard let responder = responder(id.flow) else { return replied(number, .peerLost) }
            let answer = SimulatedAnswer(
                self, number: number, responder: responder, window: call.granted, until: call.deadline, link: nil)
            local[number] = answer
            call.grant = { answer.granted($0) }
            return responder.serve(answer)
        }
        guard let link = links[id.link] else { return replied(number, .peerLost) }
        call.link = id.link
        call.grant = { link.send(.replyCredit(ReplyCreditFrame(request: number, maximumMessages: $0, maximumBytes: .max))) }
        let left = call.deadline - simulation.now
        let isSent = link.send(encoding: Message(topic: call.topic, payload: ByteBuffer(integer: number))) { run in
            .request(
                RequestFrame(
                    request: number, flow: id.flow, deadline: left, replyMessages: call.granted, replyBytes: .max, message: run))
        }
        if !isSent { replied(number, .peerLost) }
    }
}

/// The requester's end: replies wait here, at most as many as were granted room.
final class SimulatedCall {
    unowned let desk: SimulatedDesk
    let number: UInt64
    let topic: Topic
    let deadline: Duration
    var link: LinkID?
    var grant: ((UInt64) -> Void)?
    private let window: UInt64
    private(set) var granted: UInt64
    private var came: UInt64 = 0
    private var taken: UInt64 = 0

    init(_ desk: SimulatedDesk, number: UInt64, topic: Topic, deadline: Duration, window: UInt64) {
        self.desk = desk
        self.number = number
        self.topic = topic
        self.deadline = deadline
        self.window = window
        granted = window
    }

    /// - Returns: false if it came without room.
    func received() -> Bool {
        came += 1
        guard came <= granted else { return false }
        desk.simulation.plan(in: Int64(desk.simulation.draw(3000)), on: desk.node) { [self] in
            taken += 1
            let limit = taken + window
            guard limit - granted >= max(1, window / 2) else { return }
            granted = limit
            grant?(limit)
        }
        return true
    }
}
