/// When troubles came and went, in microseconds of the clock that all histories share.
package struct ChaosTimes: Sendable {
    package struct Moment: Sendable {
        /// Which node it was about; nil for all.
        package let node: Int?
        package let time: Int

        package init(node: Int?, time: Int) {
            self.node = node
            self.time = time
        }

        func concerns(_ one: Int, _ other: Int) -> Bool { node.map { $0 == one || $0 == other } ?? true }
    }

    /// The beginnings of what ends links and processes, or stops them.
    package var troubles: [Moment] = []
    /// The ends of what kept a node from the others while its process lived on.
    package var restorations: [Moment] = []
    package var rollingRestarts: [ClosedRange<Int>] = []

    package init() {}
}
