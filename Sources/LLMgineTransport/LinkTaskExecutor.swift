package import NIOCore

/// Runs tasks on the event loop of a link, so that a short answer to what came over it starts without waking another thread: 20 to 50 us.
///
/// What runs here must not take long or block: nothing else of the links on this loop moves meanwhile.
package final class LinkTaskExecutor: TaskExecutor {
    private let eventLoop: any EventLoop

    package init(_ eventLoop: any EventLoop) { self.eventLoop = eventLoop }

    package func enqueue(_ job: consuming ExecutorJob) {
        let job = UnownedJob(job)
        // The job is run exactly once: here, which is what `enqueue` owes the runtime.
        eventLoop.execute { unsafe job.runSynchronously(on: self.asUnownedTaskExecutor()) }
    }
}
