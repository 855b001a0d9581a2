package import LLMgineCore

/// What is wrong with bytes from a peer. One byte, so that the fast path throws it in a register; it becomes an ``LLMgineError`` where a frame ends.
package enum WireFault: UInt8, Error, Hashable, CaseIterable {
    case truncated, overlongVarint, varintOverflow, invalidText, invalidName, invalidFilter, invalidValue, notOurs
    case reservedBits, trailingBytes, wrongCount, unknownReference
    case textTooLong, tooMany, payloadTooLong, headersTooLong

    /// `limitExceeded` for what is well formed but too much, else `malformedFrame`.
    package var code: LLMgineError.Code {
        switch self {
        case .textTooLong, .tooMany, .payloadTooLong, .headersTooLong: .limitExceeded
        case .truncated, .overlongVarint, .varintOverflow, .invalidText, .invalidName, .invalidFilter, .invalidValue, .notOurs,
            .reservedBits, .trailingBytes, .wrongCount, .unknownReference:
            .malformedFrame
        }
    }

    /// The fault in words, for a log.
    package var text: String {
        switch self {
        case .truncated: "a field runs past the end"
        case .overlongVarint: "a number is written longer than it needs"
        case .varintOverflow: "a number is too large for its field"
        case .invalidText: "a text is not UTF-8"
        case .invalidName: "a name breaks the rules of names"
        case .invalidFilter: "a topic filter breaks the rules of filters"
        case .invalidValue: "a field has a value that it may not have"
        case .notOurs: "the bytes do not start as this protocol does"
        case .reservedBits: "reserved bits are set"
        case .trailingBytes: "bytes are left after the last field"
        case .wrongCount: "a count does not agree with what follows"
        case .unknownReference: "a reference names nothing that was interned"
        case .textTooLong: "a text is too long"
        case .tooMany: "a list is too long"
        case .payloadTooLong: "a payload is larger than was agreed"
        case .headersTooLong: "the headers of a message are too long in all"
        }
    }

    /// The fault as an error, saying which frame and how far into its body.
    package func error(in frame: String, at offset: Int) -> LLMgineError {
        LLMgineError(code, "\(frame), body byte \(offset): \(text)")
    }
}
