/// Decides when a quiet link is asked for a sign of life, and when it has died.
///
/// Any byte is a sign of life. Silence is counted in our own time only: what our ticks came late by is taken off, because bytes may
/// have waited in the socket meanwhile. So a link dies no sooner than after `suspectAfter / tickInterval` ticks that saw nothing, and
/// a process that was stopped for a minute does not declare its peers dead when it goes on.
struct Keepalive: Sendable, Hashable {
    enum OnTick: Sendable, Hashable {
        case ping(nonce: UInt64)
        case dead(silence: Duration)
        case wait
    }

    private struct Probe: Sendable, Hashable {
        let nonce: UInt64
        let sent: Duration
    }

    private(set) var roundTrip: Duration?
    /// Whether a sign of life is overdue; found out by a tick.
    private(set) var isSuspect = false
    private var heard: Duration
    private var lastTick: Duration
    private var lateness: Duration = .zero  // of our ticks, since the last byte
    private var lastPing: Duration
    private var probe: Probe?

    init(startedAt now: Duration) {
        heard = now
        lastTick = now
        lastPing = now
    }

    mutating func heard(at now: Duration) {
        guard now > heard else { return }
        heard = now
        lateness = .zero
        isSuspect = false
    }

    /// A PONG that answers an older PING, or none, says nothing about the time.
    mutating func ponged(nonce: UInt64, at now: Duration) {
        guard let probe, probe.nonce == nonce else { return }
        roundTrip = max(now - probe.sent, .zero)
        self.probe = nil
    }

    mutating func ticked(at now: Duration, nonce: UInt64, settings: LinkSettings) -> OnTick {
        lateness += max(now - max(lastTick + settings.tickInterval, heard), .zero)
        lastTick = max(now, lastTick)
        let silence = now - heard - lateness
        isSuspect = silence >= settings.lateAfter
        if silence >= settings.suspectAfter { return .dead(silence: silence) }
        let quiet = now - max(heard, lastPing) >= settings.pingAfter
        guard quiet || now - lastPing >= settings.pingEvery else { return .wait }
        lastPing = now
        probe = Probe(nonce: nonce, sent: now)
        return .ping(nonce: nonce)
    }
}
