/// The order in which the members of a queue group are asked to take one event: each after the other, beginning with another one each time.
///
/// Whoever takes it first has it. If nobody has room, the first in this order that can take it is waited for.
package struct GroupRound: Sequence, Sendable {
    private let members: Int
    /// Whose turn it is.
    package let first: Int

    /// - Parameters:
    ///   - members: how many there are; at least one.
    ///   - turn: how many rounds there have been.
    package init(members: Int, turn: Int) {
        precondition(members > 0, "a round of nobody")
        self.members = members
        first = Int(UInt(bitPattern: turn) % UInt(members))
    }

    package func makeIterator() -> Iterator { Iterator(members: members, place: first, left: members) }

    package struct Iterator: IteratorProtocol {
        fileprivate let members: Int
        fileprivate var place: Int
        fileprivate var left: Int

        package mutating func next() -> Int? {
            guard left > 0 else { return nil }
            defer {
                left -= 1
                place = place + 1 == members ? 0 : place + 1
            }
            return place
        }
    }
}
