/// One line that a benchmark process prints for the one that started it: `name key=value key=value`.
struct Line: Sendable, Hashable, CustomStringConvertible {
    let name: String
    private(set) var fields: [String: String] = [:]

    init(_ name: String, _ fields: [String: String] = [:]) {
        self.name = name
        self.fields = fields
    }

    init?(parsing text: some StringProtocol) {
        let words = text.split(separator: " ")
        guard let name = words.first else { return nil }
        self.name = String(name)
        for word in words.dropFirst() {
            let pair = word.split(separator: "=", maxSplits: 1)
            guard pair.count == 2 else { continue }
            fields[String(pair[0])] = String(pair[1])
        }
    }

    subscript(key: String) -> String? { fields[key] }

    /// The number under the key. - Throws: when the program that wrote the line left it out.
    func number(_ key: String) throws -> Double {
        guard let text = fields[key], let number = Double(text) else { throw BenchError("the line \"\(self)\" has no number \(key)") }
        return number
    }

    var description: String {
        ([name] + fields.sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)" }).joined(separator: " ")
    }
}

/// A measurement that could not be made.
struct BenchError: Error, CustomStringConvertible {
    let description: String
    init(_ description: String) { self.description = description }
}
