/// Notices a peer that has announced a frame and sends it a byte at a time, to tie up what is kept for it.
///
/// While a frame is open, at least 1 KiB a second must come. Looked at over ten seconds, so that a network that stumbles is not taken for it.
package struct ProgressRule: Sendable, Hashable {
    package static let window = Duration.seconds(10)
    package static let bytes = 10 << 10

    private var since: Duration?
    private var received: UInt64 = 0

    package init() {}

    /// - Parameters:
    ///   - received: all bytes that ever came.
    ///   - isOpen: whether they end inside of a frame.
    /// - Returns: false if the peer is too slow.
    package mutating func ticked(at now: Duration, received total: UInt64, isOpen: Bool) -> Bool {
        guard isOpen else {
            since = nil
            return true
        }
        guard let start = since, now - start >= ProgressRule.window else {
            if since == nil { (since, received) = (now, total) }
            return true
        }
        let came = total - received
        (since, received) = (now, total)
        return came >= UInt64(ProgressRule.bytes)
    }
}
