/// A sequence in pages of 512 elements, each copied on write by itself.
///
/// Readers hold snapshots of the routing tables while a writer changes them. With one flat array every change would copy all of it
/// (tens of megabytes at a million filters); here it copies the touched page and the list of pages.
@usableFromInline package struct PagedArray<Element: Sendable>: Sendable {
    @usableFromInline package var pages: [[Element]] = []

    @inlinable package init() {}

    @inlinable package var count: Int {
        guard let last = pages.last else { return 0 }
        return (pages.count - 1) << 9 + last.count
    }

    /// The element at an index below ``count``.
    @inlinable package subscript(index: UInt32) -> Element {
        // Lends the element: a copy of one that holds references would count each up and down.
        _read { yield pages[Int(index >> 9)][Int(index & 511)] }
        _modify { yield &pages[Int(index >> 9)][Int(index & 511)] }
    }

    @inlinable package mutating func append(_ element: Element) {
        if pages.last.map({ $0.count == 512 }) ?? true { pages.append([]) }
        pages[pages.count - 1].append(element)
    }
}
