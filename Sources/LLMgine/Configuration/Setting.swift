import Configuration
import LLMgineCore
import LLMgineNode

/// One thing that an operator can decide: its key, its kind and what it means.
public struct Setting: Sendable {
    /// The key in the file, as in `node.listen`. Its environment variable is ``variable``, its flag `--set node.listen=...`.
    public let key: String
    /// What it decides, in one sentence.
    public let meaning: String
    /// What a value must be, for people.
    public let expected: String
    /// The default, as it would be written in the file.
    public let fallback: String

    /// How swift-configuration is asked for it.
    let type: ConfigType
    /// Puts a value that was found into the settings; throws the reason if it cannot be used.
    let apply: @Sendable (ConfigContent, inout NodeSettings) throws(Unusable) -> Void
    /// The value in force, as it would be written in the file.
    let show: @Sendable (NodeSettings) -> String

    /// Why a value cannot be used, if that says more than what was expected.
    struct Unusable: Error {
        var reason: String?
    }

    /// The environment variable: `LLMGINE_NODE_LISTEN` for `node.listen`.
    public var variable: String {
        var name = "LLMGINE_"
        var previous: Character = "_"
        for character in key {
            if character == "." {
                name.append("_")
            } else {
                if character.isUppercase, previous.isLowercase { name.append("_") }
                name.append(contentsOf: character.uppercased())
            }
            previous = character
        }
        return name
    }
}

/// Where in the settings a value goes.
typealias Place<Value> = any WritableKeyPath<NodeSettings, Value> & Sendable

// One constructor per kind of value. The default is read off `NodeSettings()`, so it stands in one place only.
extension Setting {
    private init(
        _ key: String, _ meaning: String, expected: String, type: ConfigType, show: @escaping @Sendable (NodeSettings) -> String,
        apply: @escaping @Sendable (ConfigContent, inout NodeSettings) throws(Unusable) -> Void
    ) {
        self.key = key
        self.meaning = meaning
        self.expected = expected
        self.type = type
        self.apply = apply
        self.show = show
        self.fallback = show(NodeSettings())
    }

    /// Text that the given rule accepts.
    static func text(
        _ key: String, _ path: Place<String>, _ meaning: String, expected: String = "text",
        where accepts: @escaping @Sendable (String) -> Bool = { _ in true }
    ) -> Setting {
        Setting(key, meaning, expected: expected, type: .string) {
            "\"\($0[keyPath: path])\""
        } apply: { content, settings throws(Unusable) in
            guard case .string(let value) = content, value.isEmpty || accepts(value) else { throw Unusable() }
            settings[keyPath: path] = value
        }
    }

    /// A list of texts that the rule accepts, each.
    static func list(
        _ key: String, _ path: Place<[String]>, _ meaning: String, expected: String,
        where accepts: @escaping @Sendable (String) -> Bool
    ) -> Setting {
        Setting(key, meaning, expected: expected, type: .stringArray) {
            "[\($0[keyPath: path].joined(separator: ", "))]"
        } apply: { content, settings throws(Unusable) in
            guard case .stringArray(var values) = content else { throw Unusable() }
            values.removeAll(where: \.isEmpty)  // an empty environment variable is an empty list
            if let odd = values.first(where: { !accepts($0) }) { throw Unusable(reason: "\"\(odd.printable)\" is none") }
            settings[keyPath: path] = values
        }
    }

    /// A list of topic permissions, a sentence each. No rules are an empty list and nothing else: an empty sentence, as an empty environment
    /// variable has one, would open what the rules of the file close.
    static func rules(_ key: String, _ path: Place<[TopicPermission]>, _ meaning: String) -> Setting {
        Setting(
            key, meaning, expected: "a list of rules such as: node shop may publish orders.> except orders.secret.>", type: .stringArray
        ) {
            "[\($0[keyPath: path].map(\.description).joined(separator: ", "))]"
        } apply: { content, settings throws(Unusable) in
            guard case .stringArray(let sentences) = content else { throw Unusable() }
            var rules: [TopicPermission] = []
            for sentence in sentences {
                guard sentence.contains(where: { !$0.isWhitespace }) else {
                    throw Unusable(reason: "a rule is empty; only [] in the file means no rules")
                }
                do throws(LLMgineError) { rules.append(try TopicPermission(sentence)) } catch { throw Unusable(reason: error.detail) }
            }
            settings[keyPath: path] = rules
        }
    }

    /// A whole number within a range.
    static func number(
        _ key: String, _ path: Place<Int>, _ meaning: String, in range: ClosedRange<Int>
    ) -> Setting {
        Setting(key, meaning, expected: "a whole number from \(range.lowerBound) to \(range.upperBound)", type: .int) {
            "\($0[keyPath: path])"
        } apply: { content, settings throws(Unusable) in
            guard case .int(let value) = content, range.contains(value) else { throw Unusable() }
            settings[keyPath: path] = value
        }
    }

    /// A part of one.
    static func ratio(_ key: String, _ path: Place<Double>, _ meaning: String) -> Setting {
        Setting(key, meaning, expected: "a number from 0 to 1", type: .double) {
            "\($0[keyPath: path])"
        } apply: { content, settings throws(Unusable) in
            guard case .double(let value) = content, (0...1).contains(value) else { throw Unusable() }
            settings[keyPath: path] = value
        }
    }

    /// Yes or no.
    static func flag(_ key: String, _ path: Place<Bool>, _ meaning: String) -> Setting {
        Setting(key, meaning, expected: "true or false", type: .bool) {
            "\($0[keyPath: path])"
        } apply: { content, settings throws(Unusable) in
            guard case .bool(let value) = content else { throw Unusable() }
            settings[keyPath: path] = value
        }
    }

    /// One of a few names.
    static func choice<Value: RawRepresentable<String> & CaseIterable & Sendable>(
        _ key: String, _ path: Place<Value>, _ meaning: String
    ) -> Setting {
        let names = Value.allCases.map(\.rawValue).joined(separator: ", ")
        return Setting(key, meaning, expected: "one of \(names)", type: .string) {
            $0[keyPath: path].rawValue
        } apply: { content, settings throws(Unusable) in
            guard case .string(let name) = content, let value = Value(rawValue: name) else { throw Unusable() }
            settings[keyPath: path] = value
        }
    }

    /// A number of bytes, as `65536`, `64KiB` or `1MiB`.
    static func size(
        _ key: String, _ path: Place<Int>, _ meaning: String, in range: ClosedRange<Int>
    ) -> Setting {
        let expected = "a size from \(Quantity.size(range.lowerBound)) to \(Quantity.size(range.upperBound)), as 65536, 64KiB or 1MiB"
        return Setting(key, meaning, expected: expected, type: .string) {
            Quantity.size($0[keyPath: path])
        } apply: { content, settings throws(Unusable) in
            guard case .string(let text) = content, let value = Quantity.size(text), range.contains(value) else { throw Unusable() }
            settings[keyPath: path] = value
        }
    }

    /// A time, as `500ms`, `10s` or `2m`.
    static func duration(
        _ key: String, _ path: Place<Duration>, _ meaning: String, in range: ClosedRange<Duration>
    ) -> Setting {
        let expected = "a time from \(Quantity.duration(range.lowerBound)) to \(Quantity.duration(range.upperBound)), as 500ms, 10s or 2m"
        return Setting(key, meaning, expected: expected, type: .string) {
            Quantity.duration($0[keyPath: path])
        } apply: { content, settings throws(Unusable) in
            guard case .string(let text) = content, let value = Quantity.duration(text), range.contains(value) else { throw Unusable() }
            settings[keyPath: path] = value
        }
    }
}
