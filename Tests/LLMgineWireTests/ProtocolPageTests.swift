import Foundation
import LLMgineWire
import Testing

@Suite struct `The protocol's page` {
    /// The rows of the frame table: number and name.
    private func rows() throws -> [UInt8: String] {
        let root = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "../..").standardized
        let page = try String(contentsOf: root.appending(path: "Sources/LLMgine/LLMgine.docc/ClusterProtocol.md"), encoding: .utf8)
        var rows: [UInt8: String] = [:]
        for line in page.split(separator: "\n") where line.hasPrefix("| 0x") {
            let cells = line.split(separator: "|").map { $0.trimmingCharacters(in: .whitespaces) }
            let number = try #require(UInt8(cells[0].dropFirst(2), radix: 16))
            #expect(rows.updateValue(cells[1], forKey: number) == nil, "\(cells[0]) stands there twice")
        }
        return rows
    }

    @Test func `has a row for every frame, with its number and name, and no other`() throws {
        let frames = Dictionary(uniqueKeysWithValues: FrameType.allCases.map { ($0.rawValue, $0.name) })
        #expect(try rows() == frames)
    }
}
