import Glibc
import LLMgineObservability

/// Standard output and standard error, a line at a time and without a buffer, so that a pipe sees a line when it is written.
enum Terminal {
    /// Whether somebody looks at standard output.
    static var isInteractive: Bool { isatty(STDOUT_FILENO) == 1 }

    /// Writes a line of result.
    /// - Returns: false if nobody reads any more.
    @discardableResult
    static func say(_ line: String) -> Bool { write(line + "\n", to: STDOUT_FILENO) }

    /// Writes text of result without ending the line.
    @discardableResult
    static func put(_ text: String) -> Bool { write(text, to: STDOUT_FILENO) }

    /// Writes a line that is no result: an error or a remark.
    static func complain(_ line: String) { _ = write("llmgine: \(line)\n", to: STDERR_FILENO) }

    private static func write(_ text: String, to descriptor: CInt) -> Bool {
        let bytes = [UInt8](text.utf8)
        return Descriptor.write(bytes, to: descriptor) == bytes.count
    }
}
