import Foundation
import LLMgineCore
import LLMgineWire
import NIOCore
import Testing

/// Every input that ever broke the decoder, or looked as if it might. A file is hex with `#` comments; its name starts with what must come of
/// it: the code of the error, `frames` or `partial`.
@Suite struct `The corpus of frames` {
    private static let folder = URL(filePath: #filePath)
        .deletingLastPathComponent().deletingLastPathComponent().appending(path: "Corpus/frames")

    private static let files =
        (try? FileManager.default.contentsOfDirectory(atPath: folder.path()))?.filter { $0.hasSuffix(".hex") }.sorted() ?? []

    @Test func `is found`() {
        #expect(Self.files.count >= 8)
    }

    @Test(arguments: files)
    func `gets the answer that each file names`(file: String) throws {
        let text = try String(contentsOf: Self.folder.appending(path: file), encoding: .utf8)
        let hex = text.split(separator: "\n").filter { !$0.hasPrefix("#") }.joined()
        let bytes = ByteBuffer(bytes: Hex.bytes(hex))
        let outcome: String
        do {
            outcome = try Exercise.frames(in: bytes).isEmpty ? "partial" : "frames"
        } catch let error as LLMgineError {
            outcome = error.code.rawValue
        }
        #expect(file.hasPrefix(outcome + "-"), "\(outcome)")
    }
}
