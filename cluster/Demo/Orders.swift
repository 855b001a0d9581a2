import Foundation

/// What the orchestrator tells its processes, a line each on their standard input. The end of the input is the order to stop.
enum Orders {
    static func lines() -> AsyncStream<String> {
        AsyncStream { lines in
            // A thread of its own, because it does nothing but wait for the next line; it ends with the process.
            Thread.detachNewThread {
                while let line = readLine() { lines.yield(line) }
                lines.finish()
            }
        }
    }
}
