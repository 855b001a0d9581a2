/// The times that a link keeps.
package struct LinkSettings: Sendable, Hashable {
    /// How long a peer may take to say hello, from the moment the connection is open.
    package var handshakeTimeout: Duration = .seconds(3)
    /// How long a member of the mesh may take to tell its interest, from the HELLO on. Counted in ticks, so not while we are held up ourselves.
    package var interestTimeout: Duration = .seconds(10)
    /// How often the shell calls ``LinkMachine/ticked(at:nonce:into:)``: what a tick is late by is measured against this.
    package var tickInterval: Duration = .milliseconds(250)
    /// A PING goes out after so long without a byte from the peer, and again each time it passes once more.
    package var pingAfter: Duration = .seconds(1)
    /// A PING goes out at least this often on a busy link too, since it carries the interest hash and measures the round trip.
    package var pingEvery: Duration = .seconds(10)
    /// A link is shown as suspect after so long without a byte, our own lateness not counted: a PING is unanswered for half a second then.
    package var lateAfter: Duration = .milliseconds(1500)
    /// A link is dead after so long without a byte, our own lateness not counted. Between 3 and 10 s.
    package var suspectAfter: Duration {
        get { suspicion }
        set { suspicion = min(max(newValue, .seconds(3)), .seconds(10)) }
    }
    private var suspicion: Duration = .seconds(5)

    /// The defaults.
    package init(suspectAfter: Duration = .seconds(5)) { self.suspectAfter = suspectAfter }
}
