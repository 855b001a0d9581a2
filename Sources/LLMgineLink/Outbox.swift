import DequeModule
package import LLMgineCore
package import LLMgineFlow
package import LLMgineWire

import struct NIOCore.ByteBuffer

/// Everything that waits to go out on one link: control frames, and for each flow of the peer its policy and, class by class, its queue and its
/// credit.
///
/// A message is encoded once, into the open chunk of the set of flows that want it, and stays there until the chunk goes out as one DATA
/// frame. A frame names every flow that has the chunk at the head of its queue and the credit for it; the others get it later. Nothing is sent
/// without credit, so the peer never has a reason to stop reading, and control never waits behind data. The classes share what the link can
/// carry by weight (``ClassShares``); the flows of one class take turns, frame by frame.
///
/// The shell keeps it under the link's lock: publishers append, the event loop drains. A message of 128 bytes for one flow costs about
/// 1,100 instructions in `append` and 50 in `drain`, if frames are full: 95 and 5 ns on two busy cores, 110 with an event type, 145 for ten
/// flows at once. One that goes out alone pays for its chunk and its frame too, 400 and 550 ns.
package struct Outbox: ~Copyable {
    /// What one appended message led to.
    package enum Appended: Sendable, Equatable {
        /// In line for all but the flows that refused it. `evicted` counts older messages that went for it, over all flows.
        case queued(evicted: Int, rejected: Int)
        /// None of the flows is open any more: nobody has it.
        case nobody
        /// A flow whose policy is to wait has no room; nothing was taken.
        case full
        /// A flow slows its publishers: nothing was taken, and it is worth trying again after this time, or when there is room.
        case paced(Duration)
    }

    /// How much may wait here.
    package struct Limits: Sendable {
        /// Messages of one class for one flow. Each class has its own room, so a backlog in a low one never holds up a higher one.
        package var messages = 8192
        /// Bytes of them, as encoded. An empty queue takes any one message.
        package var bytes = 4 << 20
        /// Topics and event types that have a number at a time. Past it the numbers that nothing waiting uses are given out again.
        package var texts = WireLimits.internedTexts
        /// Sets of flows that are known at a time. Past it all are forgotten, which costs each its open chunk.
        package var lanes = 4096
        /// Bytes of control. Past it the link is closed at once, however fast the peer reads: a snapshot of 100,000 subscriptions has some 8 MiB.
        package var control = 64 << 20
        package init() {}
    }

    let limits: Limits
    /// What one message may hold.
    var wire: WireLimits
    var control = ByteBuffer()
    var interned: InternTable
    /// Where the last message of each topic went, by the topic's number.
    var trails: [Trail] = []
    var flows: [Flow] = []
    /// Four queues for each flow, one a class: that of a class stands at the place `slot * 4 + class`.
    var queues: [Queue] = []
    var slots: [UInt32: Int] = [:]
    private var freeSlots: [Int] = []
    var lanes: [Lane] = []
    var laneIndex: [[UInt32]: Int] = [:]
    /// How many chunks were ever started: the order in which they stand in every queue.
    var lastSerial: UInt64 = 0
    /// Places where something waits and there may be credit for it, by class, in the order of their turns.
    var ready = InlineArray<4, Deque<Int>>(repeating: [])
    /// How the classes share the link.
    var classes = ClassShares()
    /// Messages that are being sent in parts, by number. In ``ready``, the complement of the number stands for one.
    var parcels: [Int: Parcel] = [:]
    var lastParcel = 0
    /// Requests and replies that go in parts, by the order in which they came, and the number of each.
    var calls: [Int: CallLine] = [:]
    var callNumbers: [CallPartFrame.Call: Int] = [:]
    var lastCall = Outbox.firstCall
    /// How many of them the peer sees under way, and their bytes; and those that wait for that to become less.
    var openCalls = 0
    var openCallBytes = 0
    var heldCalls: Deque<Int> = []
    /// Whether the peer can put them together.
    var cutsCalls = false
    /// Whether something that waits may have a time to live.
    package internal(set) var hasDeadlines = false
    /// The time at which the shell last asked, since an epoch of its own.
    var now: Duration = .zero
    /// Queues that turned a publisher away and are not down to half since.
    var turnedAway: [Int] = []
    /// Flows for which publishers no longer wait.
    var slow: [Int] = []
    /// Room came about by other means than a drain.
    var madeRoom = false
    /// Flows whose policy needs more than a look at their room, and those of them that slow their publishers. While there are none, they cost
    /// nothing.
    var mindedFlows = 0
    var pacedFlows = 0
    /// Whether ``append(_:sequence:to:at:expires:)`` has use for the time with every message.
    package var isPaced: Bool { pacedFlows > 0 }

    /// Starts empty. - Parameter wire: what one message may hold, until ``agreed(_:)`` says otherwise.
    package init(limits: Limits = Limits(), wire: WireLimits = WireLimits()) {
        self.limits = limits
        self.wire = wire
        self.interned = InternTable(capacity: limits.texts)
    }

    /// Both ends have agreed on what one message may hold, and on what they can do.
    package mutating func agreed(_ limits: WireLimits, features: WireFeatures = []) {
        wire = limits
        cutsCalls = features.contains(.callParts)
    }

    // MARK: Flows

    /// The peer has subscribed. - Parameter window: the first grant, for each class.
    package mutating func opened(flow id: UInt32, whenFull: WhenFull, window: Credit) {
        guard slots[id] == nil else { return }
        let flow = Flow(id: id, whenFull: whenFull)
        note(whenFull, 1)
        if let slot = freeSlots.popLast() {
            flows[slot] = flow
            slots[id] = slot
        } else {
            slots[id] = flows.count
            flows.append(flow)
            for _ in 0..<4 { queues.append(Queue()) }
        }
        if let slot = slots[id] {
            for place in places(of: slot) { queues[place].purse = CreditPurse(granted: window) }
        }
        forgetLanes()  // one may have been made for this flow before it was known
    }

    /// The subscription is gone, and so is what waits for it. - Returns: how many messages that were.
    @discardableResult
    package mutating func closed(flow id: UInt32) -> Int {
        guard let slot = slots.removeValue(forKey: id) else { return 0 }
        let lost = queuedMessages(slot)
        note(flows[slot].whenFull, -1)
        flows[slot] = Flow(id: id, whenFull: .dropOldest)  // a free slot has no policy that needs care
        stopTurningAway(slot)
        for place in places(of: slot) {
            queues[place] = Queue()
            ready[place & 3].removeAll { $0 == place }
        }
        slow.removeAll { $0 == slot }
        freeSlots.append(slot)
        forgetLanes()
        return lost
    }

    /// The peer grants credit for one class. - Returns: whether something can go out now.
    package mutating func granted(flow id: UInt32, _ priority: Priority, _ limit: Credit, at now: Duration = .zero) -> Bool {
        guard let place = place(of: id, priority) else { return false }
        let before = queues[place].purse.granted
        queues[place].purse.granted(limit)
        // The answer to a BLOCKED that brings nothing new must not lead to the next one.
        guard queues[place].purse.granted != before else { return false }
        queues[place].saidBlocked = false
        flows[place / 4].turn &+= 1
        let more = queues[place].purse.granted.messages - before.messages
        queues[place].pace?.granted(more, at: now)
        makeReady(place)
        return queues[place].messages + queues[place].heldCount > 0
    }

    /// The peer wants back what it has granted in one class and is not used: it counts as sent, and the peer is told so.
    package mutating func drained(flow id: UInt32, _ priority: Priority) {
        guard let place = place(of: id, priority) else { return }
        let limit = queues[place].purse.giveBack()
        send(.drained(DrainedFrame(flow: id, priority: priority, atMessages: limit.messages, atBytes: limit.bytes)))
        queues[place].saidBlocked = false
        makeReady(place)  // what waits says that it is blocked
    }

    /// Messages of a class that could be sent to the flow right now; negative if more than that wait.
    package func room(flow id: UInt32, _ priority: Priority) -> Int {
        guard let place = place(of: id, priority) else { return 0 }
        return Int(clamping: queues[place].purse.room.messages) - queues[place].messages - queues[place].heldCount
    }

    /// Those of the flows that have turned a publisher away and are not down to half of their room since, with the time that publishers wait.
    package func holders(flows ids: [UInt32]) -> [PublisherHold.Holder] {
        guard !turnedAway.isEmpty else { return [] }
        return ids.compactMap { id in
            guard let slot = slots[id], isTurningAway(slot), let deadline = flows[slot].whenFull.blockDeadline else { return nil }
            return PublisherHold.Holder(flow: id, deadline: deadline, turn: flows[slot].turn)
        }
    }

    /// Whether one of the flows has turned a publisher away and is not down to half of its room since; of all flows, if none is named.
    package func isTurningAway(flows ids: [UInt32]) -> Bool {
        guard !turnedAway.isEmpty, !ids.isEmpty else { return !turnedAway.isEmpty }
        for id in ids {
            if let slot = slots[id], isTurningAway(slot) { return true }
        }
        return false
    }

    /// Publishers no longer wait for those of the flows that have turned one away, until they have caught up: until nothing waits for them.
    /// - Returns: their ids.
    package mutating func demoted(flows ids: [UInt32]) -> [UInt32] {
        var demoted: [UInt32] = []
        for id in ids {
            guard let slot = slots[id], isTurningAway(slot) else { continue }
            flows[slot].isDemoted = true
            slow.append(slot)
            stopTurningAway(slot)
            demoted.append(id)
        }
        return demoted
    }

    /// Everything that waits, by flow: what is lost if the link ends now. A message that has gone in part stands for itself.
    package var queued: [(flow: UInt32, messages: Int)] {
        var queued: [UInt32: Int] = [:]
        for slot in flows.indices where queuedMessages(slot) > 0 { queued[flows[slot].id] = queuedMessages(slot) }
        for parcel in parcels.values {
            for flow in parcel.flows { queued[flow, default: 0] += 1 }
        }
        return queued.sorted { $0.key < $1.key }.map { (flow: $0.key, messages: $0.value) }
    }

    func places(of slot: Int) -> Range<Int> { slot * 4..<slot * 4 + 4 }

    func place(of id: UInt32, _ priority: Priority) -> Int? { slots[id].map { $0 * 4 + Int(priority.rawValue) } }

    func queuedMessages(_ slot: Int) -> Int { places(of: slot).reduce(0) { $0 + queues[$1].messages + queues[$1].heldCount } }

    private func isTurningAway(_ slot: Int) -> Bool { places(of: slot).contains { queues[$0].hasTurnedAway } }

    /// Publishers that a flow turned away may try again.
    private mutating func stopTurningAway(_ slot: Int) {
        guard isTurningAway(slot) else { return }
        for place in places(of: slot) { queues[place].hasTurnedAway = false }
        turnedAway.removeAll { $0 / 4 == slot }
        madeRoom = true
    }

    /// Gives a queue its turn, if something waits in it.
    mutating func makeReady(_ place: Int) {
        guard !queues[place].isReady, queues[place].parcel == 0, !queues[place].pieces.isEmpty || queues[place].heldCount > 0 else {
            return
        }
        queues[place].isReady = true
        ready[place & 3].append(place)
    }

    // MARK: Control

    /// Puts a frame ahead of all data.
    package mutating func send(_ frame: Frame) { frame.write(into: &control) }

    /// Bytes of control that wait. What stays above a bound shows that the peer does not read, and the shell closes the link.
    package var controlBytes: Int { control.readableBytes }

    /// Whether so much control waits that the link must end now.
    package var isOverfull: Bool { control.readableBytes > limits.control }
}
