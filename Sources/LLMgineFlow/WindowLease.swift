/// What one window of unacknowledged events has borrowed of the node's ``CreditBudget``.
///
/// It borrows in steps of 64 KiB, so that not every event asks, and gives back what it has not used for two. A window may hold half of what it
/// holds and what windows may still have together, as accounts do; an empty one may have all that is left for its one event.
package struct WindowLease: Sendable, Hashable {
    /// How much is borrowed at a time.
    package static let step: UInt64 = 64 << 10

    /// What is borrowed: never less than what the window keeps.
    package private(set) var held: UInt64 = 0

    /// Nothing borrowed.
    package init() {}

    /// Whether so many bytes in the window need no asking.
    package func covers(_ bytes: Int) -> Bool { UInt64(clamping: bytes) <= held }

    /// Borrows enough for so many bytes in the window. - Parameter isEmpty: whether there is nothing in it yet.
    /// - Returns: nil if it has enough now, else how much must be free for it.
    package mutating func grow(to bytes: Int, isEmpty: Bool, from budget: inout CreditBudget) -> UInt64? {
        let needs = UInt64(clamping: bytes)
        guard needs > held else { return nil }
        let free = budget.freeForWindows
        let share = (held + free) / 2
        guard needs <= (isEmpty ? held + free : share) else { return (isEmpty ? needs : needs * 2) - held }
        change(to: max(needs, min(WindowLease.inSteps(needs), share)), in: &budget)
        return nil
    }

    /// The same for what the window has got already, whether there is room for it or not.
    package mutating func force(to bytes: Int, in budget: inout CreditBudget) {
        if !covers(bytes) { change(to: UInt64(clamping: bytes), in: &budget) }
    }

    /// Whether it is time to give something back: not each time that the window is empty for a moment.
    package func isLoose(around bytes: Int) -> Bool { held >= UInt64(clamping: bytes) + 2 * WindowLease.step }

    /// Gives back what so many bytes in the window do not need.
    package mutating func shrink(to bytes: Int, in budget: inout CreditBudget) {
        change(to: min(held, WindowLease.inSteps(UInt64(clamping: bytes))), in: &budget)
    }

    private static func inSteps(_ bytes: UInt64) -> UInt64 { (bytes + step - 1) / step * step }

    private mutating func change(to now: UInt64, in budget: inout CreditBudget) {
        budget.windowChanged(from: held, to: now)
        held = now
    }
}
