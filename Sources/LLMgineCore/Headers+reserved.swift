extension Headers {
    /// What the names of headers begin with that are the bus's own. Those of applications are taken away where a message comes over a link.
    package static let reservedPrefix = "llmgine-"
    /// Which message a hub passes on for a leaf: the leaf, its life, and the leaf's own number of it.
    package static let origin = "llmgine-origin"

    /// Without the reserved ones, but for those named.
    /// - Parameter kept: names that mean something where the message goes.
    package func withoutReserved(except kept: [String] = []) -> Headers {
        guard pairs.contains(where: { $0.name.hasPrefix(Headers.reservedPrefix) && !kept.contains($0.name) }) else { return self }
        var rest = Headers()
        for (name, value) in pairs where !name.hasPrefix(Headers.reservedPrefix) || kept.contains(name) { rest.add(name, value) }
        return rest
    }
}

extension MessageID {
    /// Reads what ``description`` writes; nil for anything else.
    package init?(_ text: String) {
        let parts = text.split(separator: "/", omittingEmptySubsequences: false)
        guard parts.count == 3, let node = try? NodeID(String(parts[0])), let incarnation = UInt64(parts[1], radix: 36),
            let sequence = UInt64(parts[2])
        else { return nil }
        self.init(node: node, incarnation: Incarnation(incarnation), sequence: sequence)
    }
}

extension Message {
    /// Without what is reserved for the bus.
    package var withoutReserved: Message {
        var message = self
        _ = message.takeOrigin()
        return message
    }

    /// The message as it is passed on: it says whose it is, whatever it said before. One that has all the headers that a link takes goes without.
    package func stamped(with origin: MessageID) -> Message {
        var stamped = self
        var headers = headers
        headers[Headers.origin] = nil
        if headers.count < Headers.maximumCount { headers[Headers.origin] = origin.description }
        stamped.headers = headers
        return stamped
    }

    /// Takes out who it was passed on for, and what else is reserved, if it has headers at all.
    /// - Parameter kept: reserved names that stay.
    package mutating func takeOrigin(keeping kept: [String] = []) -> MessageID? {
        let headers = headers
        guard !headers.isEmpty else { return nil }
        let origin = headers[Headers.origin].flatMap { MessageID($0) }
        let rest = headers.withoutReserved(except: kept)
        if rest.count != headers.count { self.headers = rest }
        return origin
    }
}
