import LLMgineCommand
import LLMgineCore
import NIOCore
import Testing

@Suite struct `Lines of the input` {
    /// What comes of pieces of input: the lines that are whole after each piece, and what is left at the end.
    private func lines(of pieces: [[UInt8]], limit: Int = 16) throws -> (whole: [[[UInt8]]], last: [UInt8]?) {
        var splitter = LineSplitter(limit: limit)
        var whole: [[[UInt8]]] = []
        for piece in pieces {
            splitter.append(piece)
            var lines: [[UInt8]] = []
            while let line = try splitter.next() { lines.append(Array(line.readableBytesView)) }
            whole.append(lines)
        }
        return (whole, splitter.last().map { Array($0.readableBytesView) })
    }

    @Test func `are cut at newlines, and all other bytes stay`() throws {
        let (whole, last) = try lines(of: [[0xFF, 0xFE, 0x00, 0x41, 0x0D, 0x0A, 0x0A, 0xC3, 0x0A]])
        #expect(whole == [[[0xFF, 0xFE, 0x00, 0x41, 0x0D], [], [0xC3]]])
        #expect(last == nil)
    }

    @Test func `may come in any pieces, and the last needs no newline`() throws {
        let input: [UInt8] = [1, 2, 0x0A, 3, 4, 5, 0x0A, 0x0A, 6, 7]
        for size in 1...input.count {
            let pieces = stride(from: 0, to: input.count, by: size).map { Array(input[$0..<min($0 + size, input.count)]) }
            let (whole, last) = try lines(of: pieces)
            #expect(whole.flatMap(\.self) == [[1, 2], [3, 4, 5], []])
            #expect(last == [6, 7])
        }
    }

    @Test func `are none without input`() throws {
        let (whole, last) = try lines(of: [])
        #expect(whole.isEmpty)
        #expect(last == nil)
    }

    @Test func `are refused when they are too long, after the ones before`() throws {
        let (whole, last) = try lines(of: [[1, 2, 3, 0x0A], [4, 5, 6]], limit: 3)
        #expect(whole == [[[1, 2, 3]], []])
        #expect(last == [4, 5, 6])

        var splitter = LineSplitter(limit: 3)
        splitter.append([1, 0x0A, 2, 3])
        #expect(try splitter.next() == ByteBuffer(bytes: [1]))
        #expect(try splitter.next() == nil)
        splitter.append([4, 5])
        #expect(throws: LLMgineError(.limitExceeded, "")) { try splitter.next() }
    }
}
