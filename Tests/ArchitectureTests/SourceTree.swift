import Foundation

/// The package as files: what the compiler does not check is read from here.
struct SourceTree {
    /// One Swift file.
    struct File: CustomStringConvertible {
        /// The path from the root of the package.
        let path: String
        let text: String

        var description: String { path }

        /// Its lines, without line comments and without what stands in a string that spans lines.
        var code: [Substring] {
            var insideString = false
            return text.split(separator: "\n", omittingEmptySubsequences: false).filter { line in
                let trimmed = line.drop(while: { $0 == " " })
                let quotes = line.components(separatedBy: "\"\"\"").count - 1
                defer { if quotes % 2 == 1 { insideString.toggle() } }
                return !insideString && !trimmed.hasPrefix("//")
            }
        }

        /// The modules that the file imports, by first path component: `NIOCore` for `public import struct NIOCore.ByteBuffer`.
        var imports: [String] {
            code.compactMap { line in
                let words = line.split(separator: " ")
                guard let at = words.firstIndex(of: "import"), words[..<at].allSatisfy(File.mayPrecedeImport) else { return nil }
                let name = words[(at + 1)...].first { !File.kinds.contains($0) }
                return name.flatMap { $0.split(separator: ".").first }.map(String.init)
            }
        }

        private static let kinds: Set<Substring> = ["struct", "class", "enum", "protocol", "func", "var", "let", "typealias"]

        private static func mayPrecedeImport(_ word: Substring) -> Bool {
            ["public", "package", "internal", "fileprivate", "private"].contains(word) || word.hasPrefix("@")
        }
    }

    let root: String

    init() {
        // Tests/ArchitectureTests/SourceTree.swift
        root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent().path
    }

    /// The names of the folders directly under one of the package's.
    func folders(in path: String) throws -> [String] {
        try FileManager.default.contentsOfDirectory(atPath: "\(root)/\(path)").filter { name in
            let attributes = try FileManager.default.attributesOfItem(atPath: "\(root)/\(path)/\(name)")
            return attributes[.type] as? FileAttributeType == .typeDirectory
        }.sorted()
    }

    /// Every Swift file below a folder.
    func files(in path: String) throws -> [File] {
        try FileManager.default.subpathsOfDirectory(atPath: "\(root)/\(path)").filter { $0.hasSuffix(".swift") }.sorted().map { name in
            File(path: "\(path)/\(name)", text: try String(contentsOfFile: "\(root)/\(path)/\(name)", encoding: .utf8))
        }
    }

    func text(of path: String) throws -> String { try String(contentsOfFile: "\(root)/\(path)", encoding: .utf8) }
}
