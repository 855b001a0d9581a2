import Foundation
package import LLMgineCore
import Synchronization

/// A process that a test or a demonstration started: its lines as they come, its signals and its end.
///
/// Its standard input is a pipe whose other end only this process has. A child that ends with its standard input therefore never outlives this
/// process, however that ends.
package final class ChildProcess: Sendable {
    /// Where a line came from.
    package enum Channel: Sendable, Hashable {
        case output, error
    }

    /// How a process ended.
    package enum Ending: Sendable, Hashable {
        case code(Int32)
        case signal(Int32)
    }

    /// What errors call it.
    package let name: String
    /// Its number in the system.
    package let pid: Int32
    private let input: Mutex<Int32?>
    private let state = Mutex(State())

    private struct State {
        /// The newest lines of both channels, at most ``maximumLines``.
        var lines: [(number: Int, channel: Channel, text: String)] = []
        var count = 0
        var readers: [Reader] = []
        var open: Set<Channel> = [.output, .error]
        var ending: Ending?
        var exitWaiters: [CheckedContinuation<Ending, Never>] = []
    }

    private struct Reader {
        let id: UInt64
        let from: Int
        let channel: Channel
        let matches: @Sendable (String) -> Bool
        let continuation: CheckedContinuation<String?, Never>
    }

    private static let maximumLines = 20_000
    private static let numbers = Atomic<UInt64>(0)

    /// Starts a program.
    /// - Parameters:
    ///   - environment: variables beside those of this process; nil removes one.
    ///   - onLine: hears every line at once, in the order of its channel.
    /// - Throws: `invalidArgument` with what the system says when the program cannot be started.
    package init(
        _ name: String, executable: String, arguments: [String], environment: [String: String?] = [:],
        onLine: (@Sendable (Channel, String) -> Void)? = nil
    ) throws(LLMgineError) {
        self.name = name
        var variables = ProcessInfo.processInfo.environment
        for (variable, value) in environment { variables[variable] = value }
        let spawn = try Spawn(executable: executable, arguments: arguments, environment: variables)
        pid = spawn.pid
        input = Mutex(spawn.input)
        // Threads of their own, because they do nothing but wait in system calls; each ends with what it waits for.
        for (descriptor, channel) in [(spawn.output, Channel.output), (spawn.error, .error)] {
            Thread.detachNewThread { [weak self] in
                ChildProcess.read(
                    descriptor,
                    onLine: { line in
                        onLine?(channel, line)
                        self?.said(line, channel)
                    }, onEnd: { self?.closed(channel) })
            }
        }
        Thread.detachNewThread { [weak self, pid] in
            let (number, isSignal) = Spawn.wait(for: pid)
            self?.ended(isSignal ? .signal(number) : .code(number))
        }
    }

    /// Nobody is left who could ask it to end.
    deinit {
        endInput()
        if isRunning { kill(pid, SIGKILL) }
    }

    /// Whether it has not ended.
    package var isRunning: Bool { state.withLock { $0.ending == nil } }

    /// What it has said so far on both channels, the newest lines last.
    package var transcript: [String] { state.withLock { $0.lines.map(\.text) } }

    /// Sends a signal.
    package func signal(_ number: Int32) {
        if isRunning { kill(pid, number) }
    }

    /// Closes its standard input.
    package func endInput() {
        input.withLock { descriptor in
            if let open = descriptor.take() { close(open) }
        }
    }

    /// Writes to its standard input. - Throws: `connectionClosed` if it does not read any more.
    package func write(_ text: String) throws(LLMgineError) { try write(Array(text.utf8)) }

    /// The same with bytes as they are.
    package func write(_ bytes: [UInt8]) throws(LLMgineError) {
        let result = input.withLock { descriptor -> Result<Void, LLMgineError> in
            guard let descriptor else { return .failure(LLMgineError(.connectionClosed, "the input of \(name) is closed")) }
            do throws(LLMgineError) { return .success(try Spawn.write(bytes, to: descriptor)) } catch { return .failure(error) }
        }
        try result.get()
    }

    /// How it ended, as soon as it has.
    package func exit() async -> Ending {
        await withCheckedContinuation { continuation in
            let ending = state.withLock { state in
                if state.ending == nil { state.exitWaiters.append(continuation) }
                return state.ending
            }
            if let ending { continuation.resume(returning: ending) }
        }
    }

    /// Asks it to end with SIGTERM, and makes it with SIGKILL when the time is over.
    package func stop(within limit: Duration) async -> Ending {
        signal(SIGTERM)
        let force = Task {
            try await Task.sleep(for: limit)
            signal(SIGKILL)
        }
        let ending = await exit()
        force.cancel()
        return ending
    }

    /// The first line that is as asked, among those that have come and those that come.
    /// - Parameter from: lines before this place in ``lineCount`` do not count.
    /// - Throws: `peerLost` with the last lines if the channel ends without it; `cancelled` if the task is cancelled.
    @discardableResult
    package func line(
        _ channel: Channel, from: Int = 0, where matches: @escaping @Sendable (String) -> Bool
    ) async throws(LLMgineError) -> String {
        let id = ChildProcess.numbers.add(1, ordering: .relaxed).newValue
        let found = await withTaskCancellationHandler {
            await withCheckedContinuation { (continuation: CheckedContinuation<String?, Never>) in
                let answer: String?? = state.withLock { state in
                    if let known = state.lines.first(where: { $0.number >= from && $0.channel == channel && matches($0.text) }) {
                        return known.text
                    }
                    guard state.open.contains(channel), !Task.isCancelled else { return .some(nil) }
                    state.readers.append(Reader(id: id, from: from, channel: channel, matches: matches, continuation: continuation))
                    return nil
                }
                if let answer { continuation.resume(returning: answer) }
            }
        } onCancel: {
            let reader = state.withLock { state in
                state.readers.firstIndex { $0.id == id }.map { state.readers.remove(at: $0) }
            }
            reader?.continuation.resume(returning: nil)
        }
        if let found { return found }
        if Task.isCancelled {
            throw LLMgineError(.cancelled, "waited for \(name) in vain; it said:\n\(transcript.suffix(20).joined(separator: "\n"))")
        }
        throw LLMgineError(
            .peerLost, "\(name) ended before it said what was awaited; its last words:\n\(transcript.suffix(20).joined(separator: "\n"))")
    }

    /// The first line that contains the text.
    @discardableResult
    package func line(_ channel: Channel, containing text: String, from: Int = 0) async throws(LLMgineError) -> String {
        try await line(channel, from: from) { $0.contains(text) }
    }

    /// All lines of a channel, once it is closed.
    package func all(_ channel: Channel) async -> [String] {
        // No line is as asked, so this waits for the end.
        _ = try? await line(channel) { _ in false }
        return state.withLock { $0.lines.filter { $0.channel == channel }.map(\.text) }
    }

    /// How many lines have come so far: a place for ``line(_:from:where:)``.
    package var lineCount: Int { state.withLock { $0.count } }

    // MARK: What the system reports

    private static func read(_ descriptor: Int32, onLine: (String) -> Void, onEnd: () -> Void) {
        var rest: [UInt8] = []
        while true {
            let bytes = Spawn.read(descriptor)
            guard !bytes.isEmpty else { break }
            rest += bytes
            while let end = rest.firstIndex(of: UInt8(ascii: "\n")) {
                onLine(String(decoding: rest[..<end], as: UTF8.self))
                rest.removeFirst(end + 1)
            }
        }
        if !rest.isEmpty { onLine(String(decoding: rest, as: UTF8.self)) }
        close(descriptor)
        onEnd()
    }

    private func said(_ text: String, _ channel: Channel) {
        let readers = state.withLock { state in
            if state.lines.count == ChildProcess.maximumLines { state.lines.removeFirst(ChildProcess.maximumLines / 2) }
            state.lines.append((state.count, channel, text))
            let number = state.count
            state.count += 1
            let readers = state.readers.filter { $0.channel == channel && number >= $0.from && $0.matches(text) }
            state.readers.removeAll { reader in readers.contains { $0.id == reader.id } }
            return readers
        }
        for reader in readers { reader.continuation.resume(returning: text) }
    }

    private func closed(_ channel: Channel) {
        let readers = state.withLock { state in
            state.open.remove(channel)
            let readers = state.readers.filter { $0.channel == channel }
            state.readers.removeAll { $0.channel == channel }
            return readers
        }
        for reader in readers { reader.continuation.resume(returning: nil) }
    }

    private func ended(_ ending: Ending) {
        let waiters = state.withLock { state in
            state.ending = ending
            let waiters = state.exitWaiters
            state.exitWaiters = []
            return waiters
        }
        for waiter in waiters { waiter.resume(returning: ending) }
    }
}
