import LLMgineBus
import LLMgineCore
import LLMgineFlow
import LLMgineLink
import LLMgineTransport
import Logging

/// The way to one subscription of a peer whose events go over this node's disk when it has no credit.
///
/// It has the link to itself as far as sharing goes: an event that other subscriptions of the peer want too is sent to them in a copy of its own.
final class SpillRoute: RemoteRoute {
    private let link: PeerLink
    private let flow: UInt32
    private let line: SpillLine

    init(link: PeerLink, flow: UInt32, in directory: String, maximumBytes: Int, logger: Logger) {
        self.link = link
        self.flow = flow
        let connection = link.connection
        var logger = logger
        logger[metadataKey: "peer"] = "\(link.peer)"
        line = SpillLine(
            in: directory, maximumBytes: maximumBytes, logger: logger,
            target: SpillLine.Target(
                hold: { _ in true },
                enter: { record, _ in
                    do throws(LLMgineError) {
                        switch try connection.append(record.message(at: SpillRecord.now), sequence: record.sequence, to: [flow]) {
                        case .queued: return true
                        case .full, .paced: return false
                        case .nobody, nil: return false  // the flow is closed, and the line about to be ended
                        }
                    } catch {
                        connection.update { $0.lost(1, flow: flow) }  // no link may carry it
                        return true
                    }
                },
                room: {
                    if await !connection.waitForRoom(for: [flow], { _ in }) { try? await Task.sleep(for: .milliseconds(5)) }
                },
                lose: { count in connection.update { $0.lost(count, flow: flow) } }))
    }

    var peer: NodeID { link.peer }
    var waiting: Int { line.waiting }
    func mayReceive(_ topic: Topic) -> Bool { link.mayReceive(topic) }

    func offer(_ message: borrowing Message, sequence: UInt64) -> RemoteOffer {
        line.isSpilling ? .full : link.offer(message, sequence: sequence, to: [flow])
    }

    func spill(_ message: Message, sequence: UInt64) async -> SpillLine.Outcome? {
        await line.spill(SpillRecord(message, sequence: sequence, at: SpillRecord.now))
    }

    func waitForRoom(_ onRegistered: (UInt64) -> Void) async -> Bool { true }
    func giveUp(_ waiter: UInt64) {}
    var holders: [PublisherHold.Holder] { [] }
    func demote(_ flows: [UInt32]) -> [String] { [] }

    func credit(for priority: Priority) -> Int {
        line.isSpilling ? 0 : link.connection.read { [flow] outbox in outbox.room(flow: flow, priority) }
    }

    /// The subscription or the link is gone. - Returns: how many events were lost with it.
    func end() async -> Int {
        var lost = 0
        await line.end { _, _ in lost += 1 }
        return lost
    }
}
