import Foundation
import LLMgine
import Logging
import NIOCore
import Synchronization

/// What one life of a node did, as it happened: a line each, of numbers only. A killed process loses the last twentieth of a second of it,
/// but nothing of what is promised to survive: that is written at once.
///
/// ```
/// i incarnation                                   the life begins
/// e time                                          everybody knows what it wants
/// p target n topic priority matched rejected before after time    published; the label of the link before and after
/// d subscription publisher incarnation n topic priority missed    handled
/// x subscription publisher incarnation n          is in the dead letters
/// k strength target n matched rejected            published to a subscription that has its events at least once
/// q target n                                      a durable publish was refused: nothing was published
/// h strength publisher incarnation n              handled at least once
/// y strength publisher incarnation n              is in the dead letters
/// r n responders time                             a request was made while so many other nodes could answer it
/// o n outcome                                     it ended, as a number of `ChaosOutcome`
/// a peer time                                     an event of a peer was handled: the first of each 20 ms
/// m peer                                          a link goes on with other certificates
/// l peer label up lost                            a link came up or ended, and what was queued for it
/// f                                               all is quiet, and no event under way
/// t                                               the life is asked to end
/// z                                               the life ended as it was asked to
/// ```
final class ChaosHistory: Sendable {
    private struct State {
        var buffer: [UInt8] = []
        /// For each node, how often a link to it has come or gone.
        var labels: [Int: Int] = [:]
        /// For each node, when an event of its was last noted as such.
        var arrivals: [Int: Int] = [:]
        var renewals = 0
        /// For each reason, how many links have ended.
        var closures: [String: Int] = [:]
    }

    private let file: FileHandle
    private let state = Mutex(State())
    /// Writes what has collected, one after another.
    private let writing = Mutex(())

    init(path: String) throws {
        guard FileManager.default.createFile(atPath: path, contents: nil), let file = FileHandle(forWritingAtPath: path) else {
            throw LLMgineError(.invalidArgument, "\(path) cannot be written")
        }
        self.file = file
    }

    func write(_ kind: Character, _ numbers: Int...) {
        var line = [UInt8](String(kind).utf8)
        for number in numbers {
            line.append(UInt8(ascii: " "))
            line += String(number).utf8
        }
        line.append(UInt8(ascii: "\n"))
        let isFull = state.withLock { state in
            state.buffer += line
            return state.buffer.count > 64 << 10
        }
        if isFull { flush() }
    }

    func flush() {
        writing.withLock { _ in
            let bytes = state.withLock { state in
                defer { state.buffer.removeAll(keepingCapacity: true) }
                return state.buffer
            }
            if !bytes.isEmpty { try? file.write(contentsOf: Data(bytes)) }
        }
    }

    /// Which of the links to a peer is the current one.
    func label(of peer: Int) -> Int { state.withLock { $0.labels[peer] ?? 0 } }

    /// - Parameter ending: why the link has ended; nil if it came up.
    func linkChanged(_ peer: Int, ending: String?, lost: Int) {
        let label = state.withLock { state in
            state.labels[peer, default: 0] += 1
            if let ending { state.closures[ending, default: 0] += 1 }
            return state.labels[peer] ?? 0
        }
        write("l", peer, label, ending == nil ? 1 : 0, lost)
    }

    /// An event of a peer came.
    func arrived(from peer: Int) {
        let time = ChaosHistory.time
        let isNoted = state.withLock { state in
            guard time - (state.arrivals[peer] ?? 0) >= 20_000 else { return false }
            state.arrivals[peer] = time
            return true
        }
        if isNoted { write("a", peer, time) }
    }

    func linkRenewed(_ peer: Int) {
        state.withLock { $0.renewals += 1 }
        write("m", peer)
    }

    /// How many links have gone on with other certificates, and how many have ended why.
    var links: (renewals: Int, closures: [String: Int]) { state.withLock { ($0.renewals, $0.closures) } }

    /// The time that all processes of a machine share, in microseconds.
    static var time: Int { Int(NIODeadline.now().uptimeNanoseconds / 1000) }
}

/// Hears in the node's own log when links come and go, and passes every line on.
struct ChaosLog: LogHandler {
    var logLevel = Logger.Level.info
    var metadata: Logger.Metadata = [:]
    let history: ChaosHistory
    let next: @Sendable (String) -> Void

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    func log(event: LogEvent) {
        let fields = event.metadata ?? [:]
        next("\(event.level) \(event.message) \(fields.map { "\($0.key)=\($0.value)" }.sorted().joined(separator: " "))")
        guard let peer = fields["peer"].flatMap({ Chaos.number(of: "\($0)") }) else { return }
        switch "\(event.message)" {
        case "link renewed": history.linkRenewed(peer)
        case "peer linked": history.linkChanged(peer, ending: nil, lost: 0)
        case "link closed":
            history.linkChanged(
                peer, ending: fields["reason"].map { "\($0)" } ?? "", lost: fields["lost"].flatMap { Int("\($0)") } ?? 0)
        default: break
        }
    }
}
