import LLMgineCore
import LLMgineObservability
import Synchronization
import SystemPackage

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

/// A process as the system knows it: a number, and our ends of three pipes. Whoever has it closes the ends and waits for the process, once each.
///
/// Not Foundation's `Process`, which on Linux loses ends of processes and of pipes when several are started at a time, and which hands its
/// children the signal mask of a thread of the pool, which blocks SIGTERM.
struct Spawn {
    let pid: Int32
    /// What we write is its standard input.
    let input: Int32
    /// Its standard output.
    let output: Int32
    /// Its standard error.
    let error: Int32

    /// - Throws: `invalidArgument`, naming the program, with what the system says.
    init(executable: String, arguments: [String], environment: [String: String]) throws(LLMgineError) {
        // A child that does not read any more must not end us by a signal.
        _ = signal(SIGPIPE, SIG_IGN)
        let started = Spawn.oneAtATime.withLock { _ -> Result<Spawn, LLMgineError> in
            do throws(LLMgineError) { return .success(try Spawn(starting: executable, arguments, environment)) } catch {
                return .failure(error)
            }
        }
        self = try started.get()
    }

    /// Between the making of a pipe and the mark that keeps it from other children, no other child is started.
    private static let oneAtATime = Mutex(())

    private init(starting executable: String, _ arguments: [String], _ environment: [String: String]) throws(LLMgineError) {
        let input = try Pipe()
        let output = try Pipe()
        let error = try Pipe()
        var pid: Int32 = 0
        let failure = Spawn.spawn(
            &pid, executable, [executable] + arguments, environment.map { "\($0.key)=\($0.value)" },
            streams: [input.reading, output.writing, error.writing])
        for end in [input.reading, output.writing, error.writing] { close(end) }
        guard failure == 0 else {
            for end in [input.writing, output.reading, error.reading] { close(end) }
            throw LLMgineError(.invalidArgument, "\(executable) cannot be started: error \(failure) of the system")
        }
        self.pid = pid
        self.input = input.writing
        self.output = output.reading
        self.error = error.reading
    }

    /// Waits for the end. - Returns: the exit code, or the signal.
    static func wait(for pid: Int32) -> (code: Int32, isSignal: Bool) {
        var status: Int32 = 0
        // The call fills the number that it is lent, and keeps no pointer to it.
        while unsafe waitpid(pid, &status, 0) < 0, errno == EINTR {}
        let signal = status & 0x7F
        return signal == 0 ? ((status >> 8) & 0xFF, false) : (signal, true)
    }

    /// The next bytes; empty at the end.
    static func read(_ descriptor: Int32) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: 16 << 10)
        while true {
            // The array is as long as the call is told, and the call keeps no pointer to it.
            let count = unsafe bytes.withUnsafeMutableBytes { unsafe Platform.read(descriptor, $0.baseAddress, $0.count) }
            if count < 0, errno == EINTR { continue }
            return Array(bytes.prefix(max(0, count)))
        }
    }

    /// - Throws: `connectionClosed` if nobody reads.
    static func write(_ bytes: [UInt8], to descriptor: Int32) throws(LLMgineError) {
        guard Descriptor.write(bytes, to: descriptor) == bytes.count else {
            throw LLMgineError(.connectionClosed, "the process does not read its input any more")
        }
    }

    /// The call itself: every pointer below points to memory that lives until it returns, and lists end with nil as it wants them.
    private static func spawn(_ pid: inout Int32, _ executable: String, _ arguments: [String], _ environment: [String], streams: [Int32])
        -> Int32
    {
        var actions = unsafe posix_spawn_file_actions_t()
        unsafe posix_spawn_file_actions_init(&actions)
        defer { unsafe posix_spawn_file_actions_destroy(&actions) }
        for (number, descriptor) in streams.enumerated() { unsafe posix_spawn_file_actions_adddup2(&actions, descriptor, Int32(number)) }
        var attributes = posix_spawnattr_t()
        unsafe posix_spawnattr_init(&attributes)
        defer { unsafe posix_spawnattr_destroy(&attributes) }
        var none = sigset_t(), all = sigset_t()
        unsafe sigemptyset(&none)
        unsafe sigfillset(&all)
        unsafe posix_spawnattr_setsigmask(&attributes, &none)
        unsafe posix_spawnattr_setsigdefault(&attributes, &all)
        unsafe posix_spawnattr_setpgroup(&attributes, 0)
        // A group of its own, so that Ctrl-C reaches it through us and not twice.
        unsafe posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP))
        var argv = unsafe arguments.map { unsafe strdup($0) } + [nil]
        var envp = unsafe environment.map { unsafe strdup($0) } + [nil]
        defer { unsafe (argv + envp).forEach { unsafe free($0) } }
        return unsafe posix_spawn(&pid, executable, &actions, &attributes, &argv, &envp)
    }

    /// Both ends of a pipe, which no other child inherits.
    private struct Pipe {
        let reading: Int32
        let writing: Int32

        init() throws(LLMgineError) {
            var ends: [Int32] = [-1, -1]
            // The call writes two numbers, which is what the array has room for.
            guard unsafe pipe(&ends) == 0 else { throw LLMgineError(.limitExceeded, "no pipe could be made: \(Errno(rawValue: errno))") }
            for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
            reading = ends[0]
            writing = ends[1]
        }
    }
}

/// The system call that has the name of a method.
private enum Platform {
    static func read(_ file: Int32, _ start: UnsafeMutableRawPointer?, _ count: Int) -> Int {
        #if canImport(Glibc)
            unsafe Glibc.read(file, start, count)
        #elseif canImport(Musl)
            unsafe Musl.read(file, start, count)
        #else
            unsafe Darwin.read(file, start, count)
        #endif
    }
}
