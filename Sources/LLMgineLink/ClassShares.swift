/// Which class sends next on a link: deficit round robin by weight, the more urgent first within a round.
///
/// In a round each class may send its share of bytes: 128, 64, 32 and 16 KiB from urgent to low, that is 8 : 4 : 2 : 1, and for the lowest one
/// TLS record. A class that has something to send and some of its share left goes before all below it; the round is over when those that have
/// something to send have used up theirs. So a lone urgent message waits for one frame at most, and the lowest class gets a fifteenth of a
/// full link, whatever the others have to say. What nobody uses goes to those that have something. A frame may overdraw its class's share,
/// which the next rounds pay off.
package struct ClassShares: Sendable {
    /// Bytes that each class may send in a round, by raw value.
    package static let perRound: InlineArray<4, Int> = [128 << 10, 64 << 10, 32 << 10, 16 << 10]

    private var left = ClassShares.perRound

    package init() {}

    /// The class that sends next, nil if none has anything.
    /// - Parameter isReady: whether a class has something to send.
    @inline(__always)
    package mutating func next(_ isReady: (Int) -> Bool) -> Int? {
        while true {
            var waits = false
            for index in 0..<4 where isReady(index) {
                if left[index] > 0 { return index }
                waits = true
            }
            guard waits else { return nil }
            for index in 0..<4 { left[index] = min(left[index], 0) + ClassShares.perRound[index] }
        }
    }

    /// A class has sent so many bytes.
    @inline(__always)
    package mutating func sent(_ bytes: Int, of index: Int) { left[index] -= bytes }
}
