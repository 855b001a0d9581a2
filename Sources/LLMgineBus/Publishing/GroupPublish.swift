import LLMgineCore
import LLMgineRouting
import Synchronization

/// One event on its way to one member of a queue group: whoever has room, in turn, and this node's own members first among equals.
///
/// If nobody has room, the first one in turn is waited for that can take it: not one that has ended or refuses it, nor one to which no link may carry it.
struct GroupPublish {
    private enum Member {
        case local(AnySubscriber, HoldStart)
        case remote(HeldRemote)
    }

    private let message: EncodedMessage
    /// The event as it goes over links.
    private let wire: Message
    private let number: UInt64
    private let extras: MessageExtras?
    private let offerHere: (AnySubscriber) -> SubscriberOffer
    /// Those that had no room when they were asked, whose turn comes first at the beginning.
    private var full: [Member] = []
    /// Why no link may carry the event to those that were asked.
    private var failure: LLMgineError?
    /// Whether one of them has refused it.
    private var isRefused = false

    init(
        _ message: EncodedMessage, over wire: Message, number: UInt64, extras: MessageExtras?,
        offerHere: @escaping (AnySubscriber) -> SubscriberOffer
    ) {
        self.message = message
        self.wire = wire
        self.number = number
        self.extras = extras
        self.offerHere = offerHere
    }

    /// The same with the copy for this node that the members of a group get usually.
    init(_ message: EncodedMessage, over wire: Message, number: UInt64, extras: MessageExtras?) {
        self.init(message, over: wire, number: number, extras: extras) {
            $0.mailbox.offer(message, sequence: number, extras: extras)
        }
    }

    /// Offers the event to those that have room. The group is one match.
    /// - Returns: whether that is all; if not, ``insist(on:_:_:)`` comes next.
    mutating func offer(to group: RouteGroup, _ receipt: inout PublishReceipt, _ failures: inout LinkFailures) -> Bool {
        let locals = group.locals(for: message.message)
        let members = locals.count + group.remotes.count
        guard members > 0 else { return true }
        receipt.matched += 1
        for index in GroupRound(members: members, turn: group.turn.add(1, ordering: .relaxed).newValue) {
            let isTaken =
                index < locals.count ? offer(to: locals[index], &receipt) : offer(to: group.remotes[index - locals.count], &receipt)
            if isTaken { return true }
        }
        guard full.isEmpty else { return false }
        end(&receipt, &failures)
        return true
    }

    /// - Returns: false if another one is to be asked.
    private mutating func offer(to local: AnySubscriber, _ receipt: inout PublishReceipt) -> Bool {
        let start = HoldStart(local.mailbox)
        if local.mailbox.room > 0 {
            let offer = offerHere(local)
            switch offer {
            case .accepted:
                receipt.matched -= 1
                receipt.count(offer)
                return true
            case .closed: return false
            case .full, .rejected: break
            }
        }
        full.append(.local(local, start))
        return false
    }

    private mutating func offer(to remote: any RemoteRoute, _ receipt: inout PublishReceipt) -> Bool {
        if remote.credit(for: wire.priority) > 0 {
            let offer = remote.offer(wire, sequence: number)
            switch offer {
            case .accepted:
                receipt.count(offer)
                return true
            case .failed(let error):
                failure = error
                return false
            case .closed: return false
            case .full, .paced, .refused: break
            }
        }
        full.append(.remote(HeldRemote(remote)))
        return false
    }

    /// Waits for one of those that had no room. - Throws: `cancelled`.
    mutating func insist(
        on bus: MessageBus, _ receipt: inout PublishReceipt, _ failures: inout LinkFailures
    ) async throws(LLMgineError) {
        for member in full {
            switch member {
            case .local(let subscriber, let start):
                let (matched, id) = (receipt.matched, receipt.id)
                try await bus.insist(on: subscriber, since: start, &receipt) {
                    offerHere(subscriber)
                } copy: {
                    SpillCopy(message: message, sequence: number, extras: extras)
                } refused: {
                    subscriber.keep(refused: message.message, id)
                }
                if receipt.matched == matched { return }
                receipt.matched = matched  // it has ended
            case .remote(let held):
                switch try await bus.insist(on: held, wire, number, &receipt) {
                case .counted: return
                case .refused: isRefused = true
                case .closed: break
                case .failed(let error): failure = error
                }
            }
        }
        end(&receipt, &failures)
    }

    /// Nobody is left to be asked.
    private func end(_ receipt: inout PublishReceipt, _ failures: inout LinkFailures) {
        if let failure, !isRefused { return failures.note(failure, &receipt) }
        failures.note(isRefused ? .refused : .closed, &receipt)
    }
}
