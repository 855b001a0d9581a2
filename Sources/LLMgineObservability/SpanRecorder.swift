import NIOConcurrencyHelpers

/// Where finished spans wait for the exporter: a bounded queue under one short lock. When it is full, the new span goes and is counted.
///
/// Nobody who records ever waits for anything but that lock. Draining swaps whole arrays, so it holds the lock as long as one span does.
package final class SpanRecorder: Sendable {
    /// 65,536 spans, at most about 12 MB. OpenTelemetry's default of 2,048 loses most of a burst of 10,000 spans that takes 3 ms to make;
    /// `OTEL_BSP_MAX_QUEUE_SIZE` sets another.
    package static let defaultCapacity = 65_536

    /// What became of the spans that were offered: `offered == drained + dropped + waiting`.
    package struct Counts: Sendable, Hashable {
        package var offered: UInt64 = 0
        package var drained: UInt64 = 0
        package var dropped: UInt64 = 0
        package var waiting = 0
    }

    private struct State {
        var spans: [FinishedSpan] = []
        var capacity: Int
        var offered: UInt64 = 0
        var drained: UInt64 = 0
        var wakeAt = Int.max
        var wake: (@Sendable () -> Void)?
    }

    private let state: NIOLockedValueBox<State>

    package init(capacity: Int = SpanRecorder.defaultCapacity) {
        state = NIOLockedValueBox(State(capacity: max(capacity, 1)))
    }

    /// Leaves a span for the exporter. - Returns: false if there was no room.
    @discardableResult
    package func record(_ span: consuming FinishedSpan) -> Bool {
        let (accepted, wake) = state.withLockedValue { [span] state -> (Bool, (@Sendable () -> Void)?) in
            state.offered += 1
            guard state.spans.count < state.capacity else { return (false, nil) }
            state.spans.append(span)
            return (true, state.spans.count == state.wakeAt ? state.wake : nil)
        }
        wake?()
        return accepted
    }

    /// Has `wake` called, on the thread that records, each time the queue grows to `threshold` spans. There is one exporter; the last caller is it.
    package func onBatch(of threshold: Int, wake: (@Sendable () -> Void)?) {
        state.withLockedValue { state in
            state.wakeAt = max(threshold, 1)
            state.wake = wake
        }
    }

    /// Sets how many spans may wait; what is waiting already stays.
    package func setCapacity(_ capacity: Int) { state.withLockedValue { $0.capacity = max(capacity, 1) } }

    /// Moves up to `maximum` spans, the oldest first, to the end of `batch`. - Returns: how many still wait.
    @discardableResult
    package func drain(into batch: inout [FinishedSpan], maximum: Int) -> Int {
        state.withLockedValue { state in
            let taken = min(max(maximum, 0), state.spans.count)
            state.drained += UInt64(taken)
            if taken == state.spans.count, batch.isEmpty {
                swap(&batch, &state.spans)  // the exporter's empty array, with its memory, becomes the next queue
            } else {
                batch.append(contentsOf: state.spans[..<taken])
                state.spans.removeFirst(taken)
            }
            return state.spans.count
        }
    }

    /// How many spans wait.
    package var count: Int { state.withLockedValue { $0.spans.count } }

    /// What became of the spans so far.
    package var counts: Counts {
        state.withLockedValue { state in
            let waiting = state.spans.count
            return Counts(
                offered: state.offered, drained: state.drained, dropped: state.offered - state.drained - UInt64(waiting), waiting: waiting)
        }
    }
}
