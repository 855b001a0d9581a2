import ArgumentParser
import LLMgineCore
import SystemPackage
import UnixSignals

import class Foundation.Thread

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

/// When a command that serves stops serving.
struct EndOptions: ParsableArguments {
    @Flag(help: "End also when standard input does: for a parent that must leave nothing behind, however it ends itself.")
    var untilInputEnds = false

    /// Heeds signals from here on.
    func ending() async -> Ending {
        Ending(signals: await UnixSignalsSequence(trapping: .sigint, .sigterm), heedsInput: untilInputEnds)
    }
}

/// The moment at which a command is told to end.
struct Ending {
    let signals: UnixSignalsSequence
    let heedsInput: Bool

    /// Returns at the first signal, at the end of standard input if that is heeded, or when the task is cancelled.
    func comes() async {
        await withTaskGroup(of: Void.self) { [signals, heedsInput] tasks in
            tasks.addTask { for await _ in signals { return } }
            if heedsInput { tasks.addTask { await StandardInput.ended() } }
            await tasks.next()
            tasks.cancelAll()
        }
    }
}

enum StandardInput {
    /// The next bytes, at most 64 KiB, as soon as there are some; nil at the end. Blocks.
    /// - Throws: `invalidArgument` with what the system says: it cannot be read.
    static func next() throws(LLMgineError) -> [UInt8]? {
        var bytes = [UInt8](repeating: 0, count: 64 << 10)
        while true {
            // The array is as long as the call is told, and the call keeps no pointer to it.
            let count = unsafe bytes.withUnsafeMutableBytes { unsafe read(STDIN_FILENO, $0.baseAddress, $0.count) }
            if count > 0 { return Array(bytes.prefix(count)) }
            guard count < 0 else { return nil }
            let code = errno
            guard code == EINTR else {
                throw LLMgineError(.invalidArgument, "standard input cannot be read: \(Errno(rawValue: code))")
            }
        }
    }

    /// Returns when nobody can write to standard input any more, or when the task is cancelled. What is written there is thrown away.
    static func ended() async {
        let (ends, end) = AsyncStream.makeStream(of: Void.self)
        // A thread of its own, because it does nothing but wait in a system call; it ends with the process.
        Thread.detachNewThread {
            var bytes = [UInt8](repeating: 0, count: 1024)
            while true {
                // The array is as long as the call is told, and the call keeps no pointer to it.
                let count = unsafe bytes.withUnsafeMutableBytes { unsafe read(STDIN_FILENO, $0.baseAddress, $0.count) }
                if count == 0 || (count < 0 && errno != EINTR) { break }
            }
            end.finish()
        }
        for await _ in ends {}
    }
}
