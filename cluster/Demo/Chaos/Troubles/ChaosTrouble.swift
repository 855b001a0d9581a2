/// One thing that happens to a node, with all that is left to chance in it.
package struct ChaosTrouble: Sendable, Hashable {
    /// What happens; the raw value is its name in the report.
    package enum Kind: String, CaseIterable, Sendable {
        /// Ended by SIGKILL, started again a while later.
        case kill = "kills"
        /// Stopped by SIGSTOP, some for longer than it takes to be given up.
        case stop = "stops"
        /// Links are broken.
        case cut = "cuts"
        /// Nothing gets through, and nobody is told.
        case stall = "stalls"
        /// Cannot be reached, and others are told.
        case refusal = "refusals"
        /// Handlers do not return.
        case freeze = "freezes"
        /// The same, and all others send more than there is room for.
        case flood = "floods"
        /// All nodes are asked to end and started again, one after another.
        case rollingRestart = "rolling_restarts"
        /// A node gets a new certificate.
        case rotation = "rotations"
        /// All nodes get one at once.
        case rotationOfAll = "rotations_of_all"
        /// The disk of the journal is full.
        case fullDisk = "full_disks"
        /// The same, and the node is killed and started again while it is.
        case fullDiskAndKill = "full_disks_with_kill"

        /// Whether it needs a disk that may be filled.
        package var needsDisk: Bool { self == .fullDisk || self == .fullDiskAndKill }

        /// How often it strikes in a round.
        package var share: Int { self == .kill || self == .cut ? 2 : 1 }

        /// How long it lasts, in milliseconds.
        package var time: ClosedRange<Int> {
            switch self {
            case .kill: 0...1500
            case .stop, .stall: 200...7000
            case .cut: 50...1500
            case .refusal: 100...3000
            case .freeze: 500...3000
            case .flood: 2000...4000
            case .rollingRestart, .rotation, .rotationOfAll: 0...0
            case .fullDisk, .fullDiskAndKill: 200...1500
            }
        }
    }

    package let kind: Kind
    package let node: Int
    package let lasts: Duration
    /// How long there is peace after it.
    package let pause: Duration
}
