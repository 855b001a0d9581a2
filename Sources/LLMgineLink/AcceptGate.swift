/// Decides whether a port takes one more connection, before a byte of it is read.
///
/// Counts what has no identity yet apart from what has one, so that strangers cannot take the places of peers, and holds each address and all
/// together to a rate. A rate is a debt that time pays off, as with control frames.
package struct AcceptGate: Sendable {
    /// How much is taken.
    package struct Limits: Sendable, Hashable {
        /// Connections whose peer is not known yet. Default 100.
        package var pending = 100
        /// All connections. Default 2048: a mesh of a hundred, and a thousand leaves.
        package var total = 2048
        /// Connections a second from one address, and how many may come at once. Default 100 and 500.
        package var perAddress = Rate(perSecond: 100, burst: 500)
        /// Connections a second from everywhere, and how many may come at once. Default 500 and 1000.
        package var overall = Rate(perSecond: 500, burst: 1000)
        /// Addresses whose rate is remembered; past it the one that owes least is forgotten. Default 4096.
        package var addresses = 4096

        package init() {}
    }

    /// So many a second, and so many at once.
    package struct Rate: Sendable, Hashable {
        package var perSecond: Int
        package var burst: Int

        package init(perSecond: Int, burst: Int) {
            self.perSecond = max(1, perSecond)
            self.burst = max(1, burst)
        }
    }

    /// Why a connection is not taken.
    package enum Refusal: String, Sendable, Hashable, CaseIterable {
        case tooManyPending, tooMany, addressTooFast, tooFast
    }

    private struct Debt: Sendable {
        var owed = Duration.zero
        var asOf = Duration.zero

        /// False, and nothing owed for it, if one more is more than the rate allows.
        mutating func admits(_ rate: Rate, at now: Duration) -> Bool {
            let each = Duration.seconds(1) / rate.perSecond
            if now > asOf { (owed, asOf) = (max(.zero, owed - (now - asOf)), now) }
            guard owed + each <= each * rate.burst else { return false }
            owed += each
            return true
        }
    }

    private let limits: Limits
    private var overall = Debt()
    private var debts: [String: Debt] = [:]
    /// Connections whose peer is not known yet.
    package private(set) var pending = 0
    /// All connections.
    package private(set) var total = 0

    package init(_ limits: Limits = Limits()) { self.limits = limits }

    /// A connection came. - Returns: why it is closed at once; nil if it is taken, and then one of the two below follows.
    package mutating func arrived(from address: String, at now: Duration) -> Refusal? {
        guard total < limits.total else { return .tooMany }
        guard pending < limits.pending else { return .tooManyPending }
        if debts[address] == nil, debts.count >= limits.addresses, let least = debts.min(by: { $0.value.owed < $1.value.owed })?.key {
            debts[least] = nil
        }
        guard debts[address, default: Debt()].admits(limits.perAddress, at: now) else { return .addressTooFast }
        guard overall.admits(limits.overall, at: now) else { return .tooFast }
        pending += 1
        total += 1
        return nil
    }

    /// The peer of a connection is known now.
    package mutating func identified() { pending -= 1 }

    /// A connection is gone.
    package mutating func left(wasIdentified: Bool) {
        total -= 1
        if !wasIdentified { pending -= 1 }
    }
}
