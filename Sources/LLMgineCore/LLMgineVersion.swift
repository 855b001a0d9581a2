/// The version of this software. Not that of the wire protocol, which has its own.
public enum LLMgineVersion {
    /// `major.minor.patch`.
    public static let text = "0.1.0"
}
