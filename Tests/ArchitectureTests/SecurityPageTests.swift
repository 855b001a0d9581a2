import Foundation
import Testing

/// The page on security names a test for every row of its checklist: they must be there.
@Suite struct `The security page` {
    private let tree = SourceTree()

    @Test func `names only tests that exist`() throws {
        let page = try tree.text(of: "Sources/LLMgine/LLMgine.docc/Security.md")
        let tests = Set(
            try tree.files(in: "Tests").flatMap {
                $0.text.components(separatedBy: "func `").dropFirst().map { String($0.prefix { $0 != "`" }) }
            })
        let rows = page.split(separator: "\n").filter { $0.hasPrefix("| CVE-") || $0.hasPrefix("| 2026-") }
        #expect(rows.count >= 25)
        for row in rows {
            let named = row.split(separator: "|").last.map { $0.split(separator: "`", omittingEmptySubsequences: false) } ?? []
            let names = named.enumerated().filter { $0.offset % 2 == 1 }.map { String($0.element) }
            #expect(!names.isEmpty, "no test for \(row)")
            for name in names { #expect(tests.contains(name), "there is no test \"\(name)\"") }
        }
    }
}
