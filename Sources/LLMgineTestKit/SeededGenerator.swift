/// Random numbers that come again: the same seed gives the same numbers, on every machine and in every run. Not for secrets.
///
/// SplitMix64 (Steele, Lea and Flood, 2014): one addition and a mix per number, good for every seed, 0 among them.
public struct SeededGenerator: RandomNumberGenerator, Sendable {
    /// What it started from: print it with a failure.
    public let seed: UInt64
    private var state: UInt64

    /// Starts from a seed.
    public init(seed: UInt64) {
        self.seed = seed
        self.state = seed
    }

    /// The next 64 bits.
    public mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ (mixed &>> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed &>> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed &>> 31)
    }

    /// A generator of its own for a part of a test, so that what one part draws does not change what another does.
    public mutating func fork() -> SeededGenerator { SeededGenerator(seed: next()) }
}
