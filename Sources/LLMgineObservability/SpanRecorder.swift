import DequeModule
import NIOConcurrencyHelpers

/// Where finished spans wait for the exporter: a bounded queue under one short lock. When it is full, the new span goes and is counted.
///
/// Nobody who records ever waits for anything but that lock. A batch is drained by swapping whole arrays, so that holds the lock no longer than a span does.
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

    /// Spans are kept in arrays of this many, OpenTelemetry's batch, so that a batch changes hands without its spans being touched.
    private static let chunk = 512

    private struct State {
        /// The oldest spans; every array is full.
        var full: Deque<[FinishedSpan]> = []
        /// The newest.
        var filling: [FinishedSpan] = []
        /// An emptied array, to be filled again.
        var spare: [FinishedSpan] = []
        var waiting = 0
        var capacity: Int
        var offered: UInt64 = 0
        var drained: UInt64 = 0
        var wakeAt = Int.max
        var wake: (@Sendable () -> Void)?

        mutating func append(_ span: consuming FinishedSpan) {
            if filling.count == SpanRecorder.chunk {
                full.append(filling)
                filling = []
                swap(&filling, &spare)
            }
            if filling.capacity < SpanRecorder.chunk { filling.reserveCapacity(SpanRecorder.chunk) }
            filling.append(span)
            waiting += 1
        }
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
            guard state.waiting < state.capacity else { return (false, nil) }
            state.append(span)
            return (true, state.waiting == state.wakeAt ? state.wake : nil)
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
            var left = min(max(maximum, 0), state.waiting)
            state.drained += UInt64(left)
            state.waiting -= left
            while left > 0 {
                if state.full.isEmpty {
                    left -= Self.move(&state.filling, to: &batch, maximum: left)
                } else {
                    left -= Self.move(&state.full[0], to: &batch, maximum: left)
                    if state.full[0].isEmpty { state.spare = state.full.removeFirst() }
                }
            }
            return state.waiting
        }
    }

    /// Moves the first spans of an array. The usual case, all of it into an empty one, is a swap: the emptied array is filled next.
    private static func move(_ spans: inout [FinishedSpan], to batch: inout [FinishedSpan], maximum: Int) -> Int {
        let count = min(maximum, spans.count)
        if count == spans.count, batch.isEmpty {
            swap(&spans, &batch)
        } else {
            batch.append(contentsOf: spans[..<count])
            spans.removeFirst(count)
        }
        return count
    }

    /// How many spans wait.
    package var count: Int { state.withLockedValue { $0.waiting } }

    /// What became of the spans so far.
    package var counts: Counts {
        state.withLockedValue { state in
            let waiting = UInt64(state.waiting)
            return Counts(
                offered: state.offered, drained: state.drained, dropped: state.offered - state.drained - waiting, waiting: state.waiting)
        }
    }
}
