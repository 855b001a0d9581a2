package import LLMgineCore

/// Knows which messages of each publisher have come: for a number of ids below its highest, a bit each, in memory that does not grow.
///
/// Ids are numbers that a publisher gives to all that it publishes, of which one subscription sees some; so the bits lie in pages, and a
/// page is there once one of its ids has come. A page stands at its number modulo the number of pages, where the next lap replaces it. An id
/// whose page has been replaced is too old to be known: it counts as new, because a repetition does less harm than a loss.
package struct DeduplicationWindow: Sendable {
    /// What is known of an id.
    package enum Verdict: Sendable, Hashable {
        case new
        case known
        /// Below the window: it may have come before.
        case tooOld
    }

    private struct Publisher: Hashable {
        let node: NodeID
        let incarnation: Incarnation
    }

    private struct Page {
        let number: UInt64
        var words = [UInt64](repeating: 0, count: 16)
    }

    private struct History {
        var pages: [Page?]
        var lastHeard: Duration
    }

    private static let pageBits: UInt64 = 1024
    private let pages: Int
    private let age: Duration
    private let maximumPublishers: Int
    private var publishers: [Publisher: History] = [:]

    /// - Parameters:
    ///   - ids: how many ids below a publisher's highest are known at least.
    ///   - age: how long after its last message a publisher is known.
    ///   - publishers: how many are known at a time; the one that was silent for longest goes.
    package init(ids: Int = 1 << 20, age: Duration = .seconds(600), publishers: Int = 1024) {
        pages = (max(1, ids) - 1) / Int(DeduplicationWindow.pageBits) + 2
        self.age = age
        maximumPublishers = max(1, publishers)
    }

    /// Publishers that are known.
    package var publisherCount: Int { publishers.count }

    /// A message came: says whether it did before, and knows it from now on.
    package mutating func arrived(_ id: MessageID, at now: Duration) -> Verdict {
        let publisher = Publisher(node: id.node, incarnation: id.incarnation)
        if publishers[publisher] == nil { admit(publisher, at: now) }
        guard var history = publishers.updateValue(History(pages: [], lastHeard: now), forKey: publisher) else { return .new }
        defer { publishers[publisher] = history }
        if now - history.lastHeard > age { history.pages = Array(repeating: nil, count: pages) }
        history.lastHeard = now
        let (number, bit) = id.sequence.quotientAndRemainder(dividingBy: DeduplicationWindow.pageBits)
        let place = Int(number % UInt64(pages))
        if let page = history.pages[place], page.number > number { return .tooOld }
        if history.pages[place]?.number != number { history.pages[place] = Page(number: number) }
        let word = Int(bit / 64)
        let mask: UInt64 = 1 << (bit % 64)
        guard var page = history.pages[place] else { return .new }
        history.pages[place] = nil  // the only reference from here on, so that the words are changed in place
        let isKnown = page.words[word] & mask != 0
        page.words[word] |= mask
        history.pages[place] = page
        return isKnown ? .known : .new
    }

    /// The message was not handled after all: it is new when it comes again.
    package mutating func forget(_ id: MessageID) {
        let publisher = Publisher(node: id.node, incarnation: id.incarnation)
        let (number, bit) = id.sequence.quotientAndRemainder(dividingBy: DeduplicationWindow.pageBits)
        let place = Int(number % UInt64(pages))
        guard var page = publishers[publisher]?.pages[place], page.number == number else { return }
        page.words[Int(bit / 64)] &= ~(1 << (bit % 64))
        publishers[publisher]?.pages[place] = page
    }

    private mutating func admit(_ publisher: Publisher, at now: Duration) {
        if publishers.count >= maximumPublishers {
            publishers = publishers.filter { now - $0.value.lastHeard <= age }
            if publishers.count >= maximumPublishers, let oldest = publishers.min(by: { $0.value.lastHeard < $1.value.lastHeard }) {
                publishers[oldest.key] = nil
            }
        }
        publishers[publisher] = History(pages: Array(repeating: nil, count: pages), lastHeard: now)
    }
}
