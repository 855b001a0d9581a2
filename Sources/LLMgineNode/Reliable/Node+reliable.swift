import LLMgineBus
import LLMgineCore
import LLMgineFlow
import LLMgineObservability
import Synchronization

/// Delivery at least once, as the node wires it up: ``Outlets`` where events go out, an ``Inlet`` a subscription where they come in.
extension Node {
    static func outletServices(_ bus: MessageBus, _ office: CreditOffice) -> OutletServices {
        OutletServices(limits: RetransmitWindow<Outlet.Parcel>.Limits(), office: office) { [weak bus] lost, name in
            for undeliverable in lost {
                bus?.keep(undelivered: undeliverable.parcel.message, undeliverable.parcel.sequence, for: name, undeliverable.error)
            }
        } settled: { [journal = bus.journal] sequences, outlet in
            guard let journal, !sequences.isEmpty, let obligation = outlet.obligation else { return }
            for sequence in sequences { journal.settled(sequence, obligation: obligation) }
        }
    }

    /// Events that subscriptions of other nodes which have them at least once have not acknowledged, by subscription.
    package var unacknowledged: [String: Int] { outlets.unacknowledged }

    func inlet(of subscription: UInt32) -> Inlet? { state.withLock { $0.inlets[subscription] } }

    /// Nil for a subscription that has its events at most once.
    func makeInlet(for subscriber: AnySubscriber) -> Inlet? {
        guard let options = subscriber.options.delivery.atLeastOnceOptions else { return nil }
        return Inlet(subscriber, options, timers: bus.timers) { [weak bus, name = subscriber.name] count in
            bus?.noteDuplicates(count, of: name)
        }
    }
}
