import LLMgine

/// The part of the work whose events are delivered at least once.
extension ChaosWork {
    func subscribeAtLeastOnce() async throws {
        for strength in Chaos.Strength.allCases {
            let options = SubscriptionOptions(
                name: strength.name, capacity: 300, whenFull: .block(deadline: .milliseconds(500)), delivery: .atLeastOnce)
            try await node.bus.subscribe(strength.filter(of: number), options: options) { [self] message, context in
                guard let event = ChaosEvent(message) else { return }
                if strength == .kept { await waitWhileFrozen() }
                history.write(
                    "h", strength.rawValue, event.publisher, Int(truncatingIfNeeded: context.id.incarnation.value), event.number)
                // The publisher may forget the event once we return, so it must be known by then that it was here.
                history.flush()
                noteHandled()
            }
        }
    }

    /// Publishes what this process keeps until it is processed: a tenth of the rate.
    func publishKept(to target: Int, rate: Int) async {
        let topic = Chaos.Strength.kept.topic(to: target, from: number)
        while isPublishing {
            let event = nextEvent()
            if let receipt = try? await node.bus.publish(message(event, topic)) {
                history.write("k", Chaos.Strength.kept.rawValue, target, event, receipt.matched, receipt.rejected)
            }
            try? await Task.sleep(for: .seconds(10) / max(10, rate))
        }
        await waitForTheEnd()
    }

    /// Publishes what survives this process: a fifth of the rate.
    func publishDurably(to target: Int, rate: Int) async {
        let topic = Chaos.Strength.durable.topic(to: target, from: number)
        while isPublishing {
            let event = nextEvent()
            do throws(LLMgineError) {
                let receipt = try await node.bus.publish(message(event, topic), durability: .durable)
                history.write("k", Chaos.Strength.durable.rawValue, target, event, receipt.matched, receipt.rejected)
                // From here on it is owed, whatever becomes of this process.
                history.flush()
                if receipt.matched > receipt.rejected { noteAcknowledged() }
            } catch  where error.code == .storageFailed {
                history.write("q", target, event)
                noteRefused()
            } catch {
                // The node stops, and nothing is promised.
            }
            try? await Task.sleep(for: .seconds(5) / max(5, rate))
        }
        await waitForTheEnd()
    }

    private func message(_ event: Int, _ topic: Topic) -> Message {
        Message(topic: topic, payload: ChaosEvent(publisher: number, number: event, topic: 0).payload)
    }
}
