import Foundation
import LLMgine

/// The text that is published, line by line.
struct Document {
    /// A token of its topic.
    let name: String
    let lines: [String]

    /// Where its lines are published.
    var topic: Topic { Topic(stringLiteral: "documents.\(name).line") }
    static let everyLine: TopicFilter = "documents.*.line"
    /// When the publisher sent a line, in nanoseconds of the clock that all processes of a machine share.
    static let sentHeader = "demo-sent"

    init(path: String) throws {
        guard let data = FileManager.default.contents(atPath: path) else { throw LLMgineError(.invalidArgument, "\(path): cannot be read") }
        let text = String(decoding: data, as: UTF8.self)
        var lines = text.split(separator: "\n", omittingEmptySubsequences: false).map { String($0.hasSuffix("\r") ? $0.dropLast() : $0) }
        if lines.last == "" { lines.removeLast() }
        self.lines = lines
        let token = URL(filePath: path).lastPathComponent.lowercased().map { $0.isASCII && ($0.isLetter || $0.isNumber) ? $0 : "_" }
        name = token.isEmpty ? "text" : String(token.prefix(60))
    }

    /// The GPL-3 that Debian ships, else our own README.
    static let defaultPath: String = {
        let license = "/usr/share/common-licenses/GPL-3"
        return FileManager.default.isReadableFile(atPath: license) ? license : "README.md"
    }()

    /// Which lines are worth an LLM call: those with five words or more, spread evenly over the text, at most ``maximumCalls``.
    var worthACall: Set<Int> {
        let wordy = lines.indices.filter { lines[$0].split(separator: " ").count >= 5 }
        guard wordy.count > Document.maximumCalls else { return Set(wordy.isEmpty ? Array(lines.indices.prefix(1)) : wordy) }
        return Set((0..<Document.maximumCalls).map { wordy[$0 * wordy.count / Document.maximumCalls] })
    }

    static let maximumCalls = 240
}
