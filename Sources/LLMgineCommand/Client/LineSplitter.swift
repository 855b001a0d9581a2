package import LLMgineCore
package import NIOCore

/// Cuts bytes into lines at the newline, and changes none of them.
package struct LineSplitter {
    private let limit: Int
    private var bytes = ByteBuffer()
    /// How many of them are known to be no newline.
    private var searched = 0

    /// - Parameter limit: the most bytes that a line may have, its newline left out.
    package init(limit: Int) { self.limit = limit }

    /// Takes what has been read. Ask ``next()`` until it has no more before the next call, so that no more than one line waits here.
    package mutating func append(_ more: [UInt8]) {
        bytes.discardReadBytes()
        bytes.writeBytes(more)
    }

    /// The next whole line without its newline; nil until more bytes come.
    /// - Throws: `limitExceeded` for a line that is too long.
    package mutating func next() throws(LLMgineError) -> ByteBuffer? {
        let view = bytes.readableBytesView
        let end = view.dropFirst(searched).firstIndex(of: UInt8(ascii: "\n"))
        let length = (end ?? view.endIndex) - view.startIndex
        guard length <= limit else {
            throw LLMgineError(.limitExceeded, "a line of the input is longer than a payload may be: at most \(limit) bytes are allowed")
        }
        guard end != nil else {
            searched = length
            return nil
        }
        searched = 0
        let line = ByteBuffer(bytes: view.prefix(length))
        bytes.moveReaderIndex(forwardBy: length + 1)
        return line
    }

    /// What came after the last newline; nil if nothing did. For the end of the input.
    package mutating func last() -> ByteBuffer? {
        guard bytes.readableBytes > 0 else { return nil }
        let line = ByteBuffer(bytes: bytes.readableBytesView)
        bytes.clear()
        searched = 0
        return line
    }
}
