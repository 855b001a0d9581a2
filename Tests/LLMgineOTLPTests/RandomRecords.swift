import LLMgineOTLP

/// splitmix64: the same seed gives the same records.
struct SeededGenerator: RandomNumberGenerator {
    private var state: UInt64
    init(seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ z >> 30) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ z >> 27) &* 0x94D0_49BB_1331_11EB
        return z ^ z >> 31
    }
}

extension SeededGenerator {
    mutating func text() -> String {
        let alphabet = ["a", "B", "7", ".", " ", "\"", "é", "漢", "🦜", "\n", "\u{0}"]
        // Lengths around the places where a varint grows are what breaks encoders.
        let length = [0, 1, 5, 15, 16, 17, 40, 127, 128, 129, 300].randomElement(using: &self) ?? 0
        return (0..<length).map { _ in alphabet.randomElement(using: &self) ?? "a" }.joined()
    }

    mutating func value(depth: Int = 0) -> OTLP.Value {
        switch Int.random(in: 0..<(depth < 3 ? 7 : 4), using: &self) {
        case 0: .string(text())
        case 1: .bool(Bool.random(using: &self))
        case 2: .int([0, 1, -1, .min, .max, Int64(bitPattern: next())].randomElement(using: &self) ?? 0)
        case 3: .double([0, -0.5, .infinity, 1e300, Double.random(in: -1e9...1e9, using: &self)].randomElement(using: &self) ?? 0)
        case 4: .array(list(3) { $0.value(depth: depth + 1) })
        case 5: .map(list(3) { $0.attribute(depth: depth + 1) })
        default: .bytes(list(20) { UInt8(truncatingIfNeeded: $0.next()) })
        }
    }

    mutating func attribute(depth: Int = 0) -> OTLP.Attribute { OTLP.Attribute(text(), value(depth: depth)) }

    mutating func list<Element>(_ most: Int, _ element: (inout SeededGenerator) -> Element) -> [Element] {
        var list: [Element] = []
        for _ in 0..<Int.random(in: 0...most, using: &self) { list.append(element(&self)) }
        return list
    }

    mutating func span() -> OTLP.Span {
        var span = OTLP.Span(
            traceHigh: next(), traceLow: next() | 1, span: next() | 1, parent: Bool.random(using: &self) ? 0 : next(), name: text(),
            kind: OTLP.Span.Kind(rawValue: UInt8.random(in: 1...5, using: &self)) ?? .internal, start: next(), end: next())
        span.traceState = Bool.random(using: &self) ? "" : text()
        span.attributes = list(10) { $0.attribute() }
        span.droppedAttributes = UInt32(truncatingIfNeeded: next() >> UInt64.random(in: 32...63, using: &self))
        span.events = list(3) { OTLP.Event(time: $0.next(), name: $0.text(), attributes: $0.list(3) { $0.attribute() }) }
        span.links = list(3) {
            OTLP.Link(
                traceHigh: $0.next(), traceLow: $0.next(), span: $0.next() | 1, attributes: $0.list(2) { $0.attribute() },
                flags: UInt32(truncatingIfNeeded: $0.next()))
        }
        span.status = [.unset, .ok, .error(text())].randomElement(using: &self) ?? .unset
        span.flags = UInt32(truncatingIfNeeded: next())
        return span
    }
}
