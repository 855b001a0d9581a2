import ArgumentParser
import LLMgine
import Synchronization
import UnixSignals

struct SubscribeCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "sub", abstract: "Print what is published, until SIGINT or SIGTERM.",
        discussion: """
            Says on standard error when the whole cluster knows of the subscription: what is published from then on is printed. It says there, too, \
            when the link to its node is gone, and when there is one again. In a filter, * stands for one part of a topic and a final > for the rest \
            of it. If the rules of the node that it goes through allow nothing of what the filters match, the exit code is 78; of filters that they \
            allow in part, that part is printed.

            Example:
              llmgine sub 'documents.>' --json
              llmgine sub 'orders.*.placed' --count 10
              llmgine sub 'quotes.>' --when-full conflate:header=symbol
            """)

    @Argument(help: "Which topics; several filters are one subscription.")
    var filters: [String]

    @Flag(help: "Print one JSON object a line: topic, publisher, payload, headers and the rest.")
    var json = false

    @Option(help: ArgumentHelp("End after so many messages.", valueName: "number"))
    var count: Int?

    @Flag(help: "Lose the oldest messages when printing is too slow, instead of holding the publishers back.")
    var dropOldest = false

    @Option(
        help: ArgumentHelp(
            "What happens to messages when printing is too slow.", discussion: "One of \(WhenFull.examples). Default: block.",
            valueName: "policy"))
    private var whenFull: Policy?

    @OptionGroup var client: ClientOptions

    func validate() throws {
        guard !dropOldest || whenFull == nil else { throw ValidationError("--drop-oldest is --when-full drop-oldest: give one of them") }
        guard (1...16).contains(filters.count) else { throw ValidationError("a subscription has 1 to 16 filters") }
        if let count, count < 1 { throw ValidationError("--count must be at least 1") }
    }

    func run() async throws {
        let filters = try self.filters.map { try TopicFilter($0) }
        // Before anything is connected, so that no signal finds nobody listening.
        let signals = await UnixSignalsSequence(trapping: .sigint, .sigterm)
        try await Client.with(client) { client in
            try await client.node.checkSubscribing(to: filters)
            let (ends, end) = AsyncStream.makeStream(of: Void.self)
            let changes = client.node.peerChanges()
            let printed = Atomic(0)
            let subscription = try client.node.bus.relaySubscription(
                filters, options: SubscriptionOptions(whenFull: whenFull?.value ?? (dropOldest ? .dropOldest : .block))
            ) { [json, count] message, context in
                let number = printed.add(1, ordering: .relaxed).newValue
                if let count, number > count { return }
                if context.missed > 0 { Terminal.complain("\(context.missed) messages were lost before this one") }
                let received = ReceivedMessage(message, context)
                guard Terminal.say(json ? received.json : received.text) else { return end.finish() }  // nobody reads any more
                if number == count { end.finish() }
            }
            try await subscription.established(within: .seconds(10))
            Terminal.complain("subscribed to \(subscription.filters.map(\.text).joined(separator: " ")) at \(client.hub)")
            await withTaskGroup(of: Void.self) { tasks in
                tasks.addTask { for await _ in signals { return } }
                tasks.addTask { for await _ in ends {} }
                tasks.addTask { for await change in changes { Terminal.complain(change.text) } }
                await tasks.next()
                tasks.cancelAll()
            }
            await subscription.cancel()
        }
    }
}

extension PeerChange {
    /// As the end of a client's only link, or its return.
    fileprivate var text: String {
        switch self {
        case .linked(let node): "linked again, to \(node); what was published meanwhile is lost"
        case .lost(let node): "the link to \(node) is gone; dialling on"
        }
    }
}

/// A policy for a full queue, as a person writes it.
private struct Policy: ExpressibleByArgument {
    let value: WhenFull

    init?(argument: String) {
        do throws(LLMgineError) { value = try WhenFull(named: argument) } catch { return nil }
    }
}
