#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

/// Nanoseconds since 1970 that never run backwards.
///
/// The wall clock is read once; from then on a reading is one `clock_gettime` of the monotonic clock (50 ns), so a span cannot end before it
/// started when somebody sets the date. The price: a date that is set later shows only after a restart.
package struct UnixClock: Sendable {
    private let offset: UInt64

    /// Anchors the monotonic clock to the wall clock of this moment.
    package init() { offset = Self.read(CLOCK_REALTIME) &- Self.read(CLOCK_MONOTONIC) }

    /// Nanoseconds since 1970.
    package func now() -> UInt64 { Self.read(CLOCK_MONOTONIC) &+ offset }

    private static func read(_ clock: clockid_t) -> UInt64 {
        var time = timespec()
        // The call fills the struct it is lent and keeps no pointer to it; the clocks named above exist everywhere.
        _ = unsafe clock_gettime(clock, &time)
        return UInt64(truncatingIfNeeded: time.tv_sec) &* 1_000_000_000 &+ UInt64(truncatingIfNeeded: time.tv_nsec)
    }
}
