import Synchronization

/// What a consumer has taken out of its mailbox, kept where it can be saved from a handler that never returns.
///
/// The consumer is *away* while its handler runs and while it waits for work; between, it has the lanes in hand. Once the mailbox is abandoned,
/// whoever ends the subscription may claim the lanes of a consumer that is away. The consumer finds that out when it comes back, and never
/// touches them again; if it comes first, it keeps them, and puts what is left into the dead letters itself.
///
/// To leave and to come back costs one plain store each. There is no barrier between the store and the look at the mailbox that follows, so
/// nobody may claim sooner than ``settling`` after the mailbox was abandoned: a consumer that overlooks the mark has looked before it was set,
/// and its store, which came first, has left the processor's store buffer long before the claimant looks. It then reads "in hand", or "away"
/// for the next call, after which the consumer will see the mark.
@safe final class Custody: @unchecked Sendable {
    // Unchecked because of the pointer: whoever uses `lanes` owns them, the consumer or the one that claimed them, as described above.

    enum Claim {
        /// The lanes are the caller's.
        case granted
        /// The consumer has them in hand, or somebody else is at work on them.
        case later
        /// Somebody else claimed them and is through.
        case done
    }

    private enum Owner: UInt8, AtomicRepresentable {
        case open, consumer, claimant, nobody
    }

    /// What lies between abandoning a mailbox and a claim at least. A store buffer drains within a microsecond.
    static let settling = Duration.milliseconds(1)

    private let taken: UnsafeMutablePointer<TakenLanes>
    private let apart = CacheLine()
    /// Written by the consumer twice an event.
    private let isAway = Atomic<Bool>(true)
    /// Who has the lanes of an abandoned mailbox.
    private let owner = Atomic<Owner>(.open)
    private let apartAgain = CacheLine()

    init(_ layout: ValueLayout) {
        unsafe taken = .allocate(capacity: 1)
        unsafe taken.initialize(to: TakenLanes(layout))
    }

    deinit {
        // Initialised above, and nobody else has a reference any more.
        unsafe taken.pointee.discard()
        unsafe taken.deinitialize(count: 1)
        unsafe taken.deallocate()
    }

    /// For the owner only, and never across an `await`. Behind a pointer, because the run-time check of exclusive access to a stored property
    /// would cost several nanoseconds an access.
    @inline(__always)
    var lanes: TakenLanes {
        _read { yield unsafe taken.pointee }
        _modify { yield unsafe &taken.pointee }
    }

    // MARK: The consumer

    /// From here on the lanes may be claimed.
    @inline(__always)
    func leave() { isAway.store(true, ordering: .releasing) }

    /// The first half of coming back; the second, if the mailbox is found abandoned after it, is ``keep()``.
    @inline(__always)
    func arrive() { isAway.store(false, ordering: .releasing) }

    /// The consumer of an abandoned mailbox has come back. - Returns: false if it comes too late: it must not touch the lanes.
    func keep() -> Bool {
        let (isFirst, before) = owner.compareExchange(expected: .open, desired: .consumer, ordering: .acquiringAndReleasing)
        return isFirst || before == .consumer
    }

    /// For a consumer that is always away, because others run the handlers. - Returns: nil once the lanes are claimed.
    func borrow<Result>(_ body: (inout TakenLanes) -> Result) -> Result? {
        guard owner.compareExchange(expected: .open, desired: .consumer, ordering: .acquiringAndReleasing).exchanged else { return nil }
        defer { owner.store(.open, ordering: .releasing) }
        return body(&lanes)
    }

    // MARK: Whoever ends the subscription

    /// Takes the lanes from a consumer that is away. At least ``settling`` after its mailbox was abandoned.
    func claim() -> Claim {
        guard isAway.load(ordering: .acquiring) else { return .later }
        let (isGranted, before) = owner.compareExchange(expected: .open, desired: .claimant, ordering: .acquiringAndReleasing)
        if isGranted { return .granted }
        return before == .nobody ? .done : .later
    }

    /// What was claimed is dealt with.
    func finishClaim() {
        lanes.discard()
        owner.store(.nobody, ordering: .releasing)
    }
}
