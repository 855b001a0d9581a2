import Foundation

/// What the orchestrator tells its processes, a line each on their standard input. The end of the input is the order to stop.
enum Orders {
    /// Acts on every order, one after another. Returns when the input ends, whatever is being done then is cancelled.
    static func obey(_ act: @escaping @Sendable (String) async throws -> Void) async throws {
        let (orders, order) = AsyncStream.makeStream(of: String.self)
        let (ends, end) = AsyncStream.makeStream(of: Void.self)
        // A thread of its own, because it does nothing but wait for the next line; it ends with the process.
        Thread.detachNewThread {
            while let line = readLine() { order.yield(line) }
            end.finish()
        }
        try await withThrowingTaskGroup(of: Void.self) { tasks in
            tasks.addTask { for await order in orders { try await act(order) } }
            tasks.addTask { for await _ in ends {} }
            defer { tasks.cancelAll() }
            try await tasks.next()
        }
    }
}
