import LLMgineBus
import LLMgineCore
import LLMgineFlow
import Synchronization

/// The way to a member of a queue group, or to a subscription outside of one, which is never known to have credit and takes all events, or none.
final class MemberRoute: RemoteRoute {
    let peer: NodeID
    private let group: String?
    private let failure: LLMgineError?
    private let refuses: Bool
    private let taken = Atomic<Int>(0)

    init(_ peer: NodeID, group: String? = nil, failure: LLMgineError? = nil, refuses: Bool = false) {
        self.refuses = refuses
        self.peer = peer
        self.group = group
        self.failure = failure
    }

    var flow: RemoteFlow { RemoteFlow(by: .own(self), flow: 1, filters: ["t"], group: group) }
    var count: Int { taken.load(ordering: .relaxed) }

    func offer(_: borrowing Message, sequence _: UInt64) -> RemoteOffer {
        if let failure { return .failed(failure) }
        if refuses { return .refused }
        taken.add(1, ordering: .relaxed)
        return .accepted(evicted: 0, rejected: 0)
    }

    func waitForRoom(_: (UInt64) -> Void) async -> Bool { true }
    func giveUp(_: UInt64) {}
    var holders: [PublisherHold.Holder] { [] }
    func demote(_: [UInt32]) -> [String] { [] }
    func credit(for _: Priority) -> Int { 0 }
}
