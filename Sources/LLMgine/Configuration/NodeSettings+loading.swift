import Configuration
public import LLMgineCore
import Synchronization
import SystemPackage

import struct FoundationEssentials.Data
import class FoundationEssentials.FileManager
import class FoundationEssentials.ProcessInfo
import struct FoundationEssentials.URL

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

/// Settings, and where each of them came from.
public struct LoadedSettings: Sendable {
    /// What is in force.
    public let settings: NodeSettings
    /// The origin of every setting that is not at its default, by key: `flag`, an environment variable, or the file.
    public let origins: [String: String]
    /// What looks wrong and nothing has to fail for, one sentence each.
    public let remarks: [String]

    /// One line for every setting: the key, the value in force, where it came from and what it means.
    public var explanation: String {
        let rows = Setting.all.map { setting in
            (value: "\(setting.key): \(setting.show(settings))", origin: origins[setting.key] ?? "default", meaning: setting.meaning)
        }
        let width = min(44, rows.map(\.value.count).max() ?? 0)
        return rows.map { row in
            let gap = String(repeating: " ", count: max(1, width - row.value.count + 1))
            return "\(row.value)\(gap)# \(row.origin); \(row.meaning)"
        }.joined(separator: "\n")
    }
}

extension NodeSettings {
    /// Reads the settings: flags win over the environment, the environment over the file, the file over the defaults.
    /// - Parameters:
    ///   - file: the path of a YAML file, nil for none. One without a key says nothing.
    ///   - environment: the variables, nil for those of the process.
    ///   - flags: pairs of key and value from the command line; a list is joined by commas.
    /// - Throws: `invalidConfiguration`, naming the key, where it was set and what was expected, for an unknown key or flag and for a value
    ///   that cannot be used.
    public static func load(
        file: String? = nil, environment: [String: String]? = nil, flags: [(key: String, value: String)] = []
    ) throws(LLMgineError) -> LoadedSettings {
        let environment = environment ?? ProcessInfo.processInfo.environment
        var sources = [try flagSource(flags), environmentSource(environment)]
        if let file { sources.append(try fileSource(file)) }
        var settings = NodeSettings()
        var origins: [String: String] = [:]
        for setting in Setting.all {
            for source in sources {
                guard let content = try source.content(of: setting) else { continue }
                do {
                    try setting.apply(content, &settings)
                } catch {
                    throw source.unusable(setting, reason: error.reason)
                }
                origins[setting.key] = source.origin(setting)
                break
            }
        }
        return LoadedSettings(settings: settings, origins: origins, remarks: strayVariables(environment))
    }

    /// Variables that look like settings but are none. Only a remark, because a container platform puts variables of its own there
    /// (`LLMGINE_SERVICE_HOST` for a service called llmgine).
    private static func strayVariables(_ environment: [String: String]) -> [String] {
        let known = Set(Setting.all.map(\.variable) + ["LLMGINE_CONNECT", "LLMGINE_CERTS"])
        return environment.keys.filter { $0.hasPrefix("LLMGINE_") && !known.contains($0) }.sorted().map { name in
            let hint = Setting.nearest(to: name, among: known.sorted()).map { "; did you mean \($0)?" } ?? ""
            return "the environment variable \(name.printable) is not a setting and is ignored\(hint)"
        }
    }

    private static func flagSource(_ flags: [(key: String, value: String)]) throws(LLMgineError) -> Source {
        var variables: [String: String] = [:]
        for (key, value) in flags {
            guard let setting = Setting.all.first(where: { $0.key == key }) else { throw unknown(key, where: "on the command line") }
            variables[setting.variable] = value
        }
        // The provider of the environment reads text into every type, which is what flags need as well.
        let provider = EnvironmentVariablesProvider(environmentVariables: variables)
        return Source(values: provider.snapshot(), prefix: ["llmgine"], place: "on the command line") { _ in "flag" }
    }

    private static func environmentSource(_ environment: [String: String]) -> Source {
        let provider = EnvironmentVariablesProvider(environmentVariables: environment)
        return Source(values: provider.snapshot(), prefix: ["llmgine"], place: "in the environment") { $0.variable }
    }

    private static func fileSource(_ path: String) throws(LLMgineError) -> Source {
        let found = try contents(of: path)
        // The parser wants a section, and a file may have nothing but comments.
        let data = saysNothing(found) ? Data("{}".utf8) : found
        let keys = KeyCollector()
        let snapshot: YAMLSnapshot
        do {
            snapshot = try YAMLSnapshot(
                data: data.bytes, providerName: path, parsingOptions: .init(secretsSpecifier: .dynamic { key, _ in keys.add(key) }))
        } catch {
            throw LLMgineError(
                .invalidConfiguration, "\(path): is not the YAML that was expected (sections with keys): \(words(of: error))", cause: error)
        }
        let known = Set(Setting.all.map(\.key))
        for key in keys.all where !known.contains(key) { throw unknown(key, where: path) }
        return Source(values: snapshot, prefix: [], place: path) { _ in path }
    }

    private static let maximumFileBytes = 1 << 20

    private static func contents(of path: String) throws(LLMgineError) -> Data {
        let data: Data
        do {
            data = try Data(contentsOf: URL(filePath: path))
        } catch {
            throw LLMgineError(.invalidConfiguration, "\(path): \(whyUnreadable(path))", cause: error)
        }
        guard data.count <= maximumFileBytes else {
            throw LLMgineError(.invalidConfiguration, "\(path): has \(data.count) bytes, more than \(maximumFileBytes)")
        }
        return data
    }

    /// Asks the system again, because Foundation does not pass on what it said.
    private static func whyUnreadable(_ path: String) -> String {
        // The call copies the name.
        let file = unsafe open(path, O_RDONLY | O_CLOEXEC)
        guard file < 0 else {
            _ = close(file)
            return FileManager.default.fileExists(atPath: path + "/.") ? "is a directory" : "cannot be read"
        }
        return Errno(rawValue: errno).description
    }

    private static func saysNothing(_ data: Data) -> Bool {
        String(decoding: data, as: UTF8.self).split(whereSeparator: \.isNewline).allSatisfy { line in
            guard let first = line.first(where: { !$0.isWhitespace }) else { return true }
            return first == "#" || line == "---"
        }
    }

    /// What the parser says, with line and column, in one line. It ends in a colon and shows the text of the file then, which stays out: a
    /// file that was named by mistake may hold secrets.
    private static func words(of fault: any Error) -> String {
        let lines = "\(fault)".split(separator: "\n").map(String.init)
        guard let end = lines.firstIndex(where: { $0.hasSuffix(":") }) else { return plain(lines.joined(separator: " ")) }
        guard lines[end] != "Context:" else {
            // For a doubled key the whole file follows, and its place comes last: "in line 1, column 1".
            let place = lines[lines.count - 1].split(separator: " ").suffix(5).joined(separator: " ")
            return plain("\(lines[..<end].joined(separator: " ")) \(place)")
        }
        return plain(String(lines[...end].joined(separator: " ").dropLast()))
    }

    private static func plain(_ text: String) -> String {
        String(text.filter { $0.unicodeScalars.allSatisfy { $0.properties.generalCategory != .control } }.prefix(400))
    }

    private static func unknown(_ key: String, where place: String) -> LLMgineError {
        let hint = Setting.nearest(to: key).map { "did you mean \($0)?" } ?? "llmgine node --check lists the keys"
        return LLMgineError(.invalidConfiguration, "unknown key \"\(key.printable)\" (\(place)): \(hint)")
    }
}

/// One place that settings come from.
private struct Source {
    let values: any ConfigSnapshot
    let prefix: [String]
    /// Where it is, for errors.
    let place: String
    /// What stands for it in the list of origins.
    let origin: @Sendable (Setting) -> String

    /// What the source says about a setting, nil if nothing.
    func content(of setting: Setting) throws(LLMgineError) -> ConfigContent? {
        let key = AbsoluteConfigKey(prefix + setting.key.split(separator: ".").map(String.init))
        do {
            return try values.value(forKey: key, type: setting.type).value?.content
        } catch {
            throw unusable(setting, reason: nil)
        }
    }

    func unusable(_ setting: Setting, reason: String?) -> LLMgineError {
        LLMgineError(.invalidConfiguration, "\(setting.key) (\(place)): expected \(setting.expected)\(reason.map { "; \($0)" } ?? "")")
    }
}

/// Collects the keys of a file while it is parsed: the parser asks about each of them whether it is a secret.
private final class KeyCollector: Sendable {
    private let keys = Mutex<[String]>([])

    var all: [String] { keys.withLock { $0.sorted() } }

    /// Notes the key. No setting is a secret.
    func add(_ key: String) -> Bool {
        keys.withLock { $0.append(key) }
        return false
    }
}
