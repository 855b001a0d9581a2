import Logging

extension DebugFilter {
    /// Makes a filter that tells the logger `llmgine.bus`, at level debug.
    public init(isEnabled: Bool = true) {
        let logger = Logger(label: "llmgine.bus")
        self.init(isEnabled: isEnabled) { line in logger.debug("published", metadata: ["event": "\(line)"]) }
    }
}
