public import LLMgineCore
import Synchronization

/// Lets events through whose type name fits a regular expression.
///
/// A pattern fits when it is found anywhere in the name; `^` and `$` tie it to the ends. A name that fits a pattern of `exclude` is stopped; otherwise,
/// if there are patterns of `include`, one of them must fit. Bytes without a type fit none. The verdict on a name is remembered, so a type costs
/// its patterns once.
public final class PatternFilter: EventFilter {
    private struct Patterns {
        var include: [Regex<AnyRegexOutput>]
        var exclude: [Regex<AnyRegexOutput>]
        var verdicts: [String: Bool] = [:]
    }

    /// How many names are remembered. Types are a closed set; what comes over a link might not be.
    private static let remembered = 1024

    private let patterns: Mutex<Patterns>  // a regular expression is not Sendable
    private let hasInclude: Bool

    /// Reads the patterns.
    /// - Throws: `invalidArgument`, naming the pattern that is no regular expression.
    public init(include: [String] = [], exclude: [String] = [], isCaseSensitive: Bool = false) throws(LLMgineError) {
        hasInclude = !include.isEmpty
        patterns = Mutex(
            Patterns(
                include: try PatternFilter.read(include, isCaseSensitive), exclude: try PatternFilter.read(exclude, isCaseSensitive)))
    }

    /// Whether the event's type is wanted.
    public func shouldHandle(_ event: PublishedEvent) throws -> Bool {
        guard let name = event.eventType else { return !hasInclude }
        return try patterns.withLock { patterns in
            if let verdict = patterns.verdicts[name] { return verdict }
            let verdict = try PatternFilter.judge(name, patterns)
            if patterns.verdicts.count >= PatternFilter.remembered { patterns.verdicts.removeAll() }
            patterns.verdicts[name] = verdict
            return verdict
        }
    }

    private static func judge(_ name: String, _ patterns: Patterns) throws -> Bool {
        for pattern in patterns.exclude where try pattern.firstMatch(in: name) != nil { return false }
        guard !patterns.include.isEmpty else { return true }
        for pattern in patterns.include where try pattern.firstMatch(in: name) != nil { return true }
        return false
    }

    private static func read(_ patterns: [String], _ isCaseSensitive: Bool) throws(LLMgineError) -> [Regex<AnyRegexOutput>] {
        var read: [Regex<AnyRegexOutput>] = []
        for pattern in patterns {
            do {
                let expression = try Regex(pattern)
                read.append(isCaseSensitive ? expression : expression.ignoresCase())
            } catch {
                throw LLMgineError(.invalidArgument, "\"\(pattern.printable)\" is no regular expression", cause: error)
            }
        }
        return read
    }
}
