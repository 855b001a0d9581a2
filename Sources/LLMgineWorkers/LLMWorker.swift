public import LLMgineBus
public import LLMgineCore
public import LLMgineLLM
public import Logging

/// A node's offer to run calls of models for the whole cluster.
///
/// ```swift
/// let worker = try await LLMWorker(providers: [EmbeddedProvider()], slots: 4, on: node.bus)
/// ```
/// A worker takes as many calls at a time as it has slots; a slot is the credit of whoever asks, so calls wait where they were made and go to whichever
/// worker has room first. It runs until ``stop()``, or until its bus stops, which lets the calls finish first.
public final class LLMWorker: Sendable {
    /// How many calls run at a time unless said otherwise: 4.
    public static let defaultSlots = 4

    /// The node whose name answers carry.
    public let node: NodeID
    /// How many calls run at a time.
    public let slots: Int
    /// The names of the providers that are offered.
    public let providers: [String]

    private let bus: MessageBus
    private let responder: Responder
    private let logger: Logger

    /// Offers providers; from now on requests for their models may come, from this node and, as soon as they know, from all others.
    /// - Parameters:
    ///   - providers: 1 to 16, each with a name of its own.
    ///   - slots: how many calls run at a time.
    ///   - bus: the bus of the node.
    ///   - logger: hears of the offer and its end.
    /// - Throws: `invalidArgument` for no provider, too many, two of one name, or no slot; `stopped`.
    public init(
        providers: [any LLMProvider], slots: Int = LLMWorker.defaultSlots, on bus: MessageBus,
        logger: Logger = Logger(label: "llmgine.worker")
    ) async throws(LLMgineError) {
        var known: [String: any LLMProvider] = [:]
        for provider in providers {
            guard known.updateValue(provider, forKey: provider.name) == nil else {
                throw LLMgineError(.invalidArgument, "two providers of the worker are called \"\(provider.name)\"")
            }
        }
        let desk = WorkerDesk(node: bus.node, providers: known, observability: bus.observability)
        node = bus.node
        self.bus = bus
        self.slots = slots
        self.providers = providers.map(\.name)
        self.logger = logger
        responder = try await bus.respond(
            to: providers.map { LLMModelName.filter(provider: $0.name) },
            options: ResponderOptions(name: "llm worker", group: "llm", concurrency: slots)
        ) { message, context, writer in
            try await desk.serve(message, context, writer)
        }
        logger.info("offering models", metadata: ["providers": "\(self.providers.joined(separator: " "))", "slots": "\(slots)"])
    }

    /// Returns once every node that can be reached knows of the offer. - Throws: `deadlineExceeded` after 10 s unless set.
    public func established(within deadline: Duration = .seconds(10)) async throws(LLMgineError) {
        try await bus.cluster?.established(deadline: deadline)
    }

    /// Takes the offer back. Calls that run are ended: those that have not answered yet move to another worker, the others fail as `workerLost`.
    public func stop() async {
        await responder.cancel()
        logger.info("offers no models any more", metadata: ["providers": "\(providers.joined(separator: " "))"])
    }
}
