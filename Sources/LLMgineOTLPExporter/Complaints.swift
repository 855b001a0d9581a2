import LLMgineOTLP
import Logging
import Synchronization

/// Says in the log that exporting fails, once and not per batch, and that it works again.
final class Complaints: Sendable {
    private let logger: Logger
    /// What was last said about each signal: an `error.type`, or nil for "works".
    private let said = Mutex<[String: String]>([:])

    init(logger: Logger) { self.logger = logger }

    func warn(_ text: String) { logger.warning("telemetry configuration", metadata: ["detail": "\(text)"]) }

    func abandoned(_ spans: Int) { logger.warning("spans lost at shutdown", metadata: ["spans": "\(spans)"]) }

    func heard(_ outcome: OTLP.Outcome, signal: String) {
        let type = outcome.errorType
        let before = said.withLock { said in
            let before = said[signal]
            said[signal] = type
            return before
        }
        guard type != before else { return }
        guard let type else {
            logger.info("telemetry export works again", metadata: ["signal": "\(signal)"])
            return
        }
        var metadata: Logger.Metadata = ["signal": "\(signal)", "error.type": "\(type)"]
        switch outcome {
        case .delivered(_, let message), .refused(_, let message):
            if !message.isEmpty { metadata["detail"] = "\(message.prefix(200))" }
        case .unavailable: break
        }
        logger.warning("telemetry export fails; spans are dropped and counted when their queue is full", metadata: metadata)
    }
}
