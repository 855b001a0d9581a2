package import LLMgineCore

/// What a member of a JSON object may be: the wire values and, without showing it to applications, the standard types in them.
package protocol JSONRepresentable {
    init(json: JSONValue) throws(LLMgineError)
    var json: JSONValue { get }
}

extension JSONValue: JSONRepresentable {
    package init(json: JSONValue) { self = json }
    package var json: JSONValue { self }
}

extension String: JSONRepresentable {
    package init(json: JSONValue) throws(LLMgineError) { self = try json.string.orBadPayload("a string") }
    package var json: JSONValue { .string(self) }
}

extension Bool: JSONRepresentable {
    package init(json: JSONValue) throws(LLMgineError) { self = try json.bool.orBadPayload("true or false") }
    package var json: JSONValue { .bool(self) }
}

extension Int: JSONRepresentable {
    package init(json: JSONValue) throws(LLMgineError) { self = try json.int.orBadPayload("an integer") }
    package var json: JSONValue { .integer(Int64(self)) }
}

extension Double: JSONRepresentable {
    package init(json: JSONValue) throws(LLMgineError) { self = try json.double.orBadPayload("a number") }
    package var json: JSONValue { .double(self) }
}

extension Array: JSONRepresentable where Element: JSONRepresentable {
    package init(json: JSONValue) throws(LLMgineError) {
        self = try json.array.orBadPayload("an array").map { element throws(LLMgineError) in try Element(json: element) }
    }
    package var json: JSONValue { .array(map(\.json)) }
}

extension Dictionary: JSONRepresentable where Key == String, Value: JSONRepresentable {
    package init(json: JSONValue) throws(LLMgineError) {
        self = [:]
        for member in try json.object.orBadPayload("an object").members { self[member.name] = try Value(json: member.value) }
    }
    package var json: JSONValue { .object(JSONObject(sorted { $0.key < $1.key }.map { ($0.key, $0.value.json) })) }
}

extension JSONRepresentable where Self: RawRepresentable, RawValue == String {
    package init(json: JSONValue) throws(LLMgineError) {
        self = try Self(rawValue: try String(json: json)).orBadPayload("one of the known words")
    }
    package var json: JSONValue { .string(rawValue) }
}

extension Optional {
    fileprivate func orBadPayload(_ expected: StaticString) throws(LLMgineError) -> Wrapped {
        guard let self else { throw LLMgineError(.badPayload, "expected \(expected)") }
        return self
    }
}

extension JSONValue {
    /// Reads the member. - Throws: `badPayload`, naming it, if it is missing, `null` or of another type.
    package func required<Value: JSONRepresentable>(_ name: StaticString, as type: Value.Type = Value.self) throws(LLMgineError) -> Value {
        guard let value: Value = try optional(name) else { throw LLMgineError(.badPayload, "\"\(name)\" is missing") }
        return value
    }

    /// Reads the member, nil if it is missing or `null`. - Throws: `badPayload`, naming it, if it is of another type.
    package func optional<Value: JSONRepresentable>(_ name: StaticString, as type: Value.Type = Value.self) throws(LLMgineError) -> Value? {
        guard case .object(let object) = self else { throw LLMgineError(.badPayload, "expected an object") }
        guard let value = object[name.description], !value.isNull else { return nil }
        do {
            return try Value(json: value)
        } catch {
            throw LLMgineError(.badPayload, "\"\(name)\": \(error.detail)")
        }
    }
}

extension JSONObject {
    /// Sets the member, or leaves it out when there is no value.
    package mutating func set(_ name: StaticString, _ value: (some JSONRepresentable)?) {
        guard let value else { return }
        self[name.description] = value.json
    }

    /// Sets the member unless the collection is empty.
    package mutating func set<Value: JSONRepresentable & Collection>(_ name: StaticString, unlessEmpty value: Value) {
        if !value.isEmpty { self[name.description] = value.json }
    }
}

extension Duration {
    /// Whole milliseconds, rounded up, saturated at the limits of 64 bits: the unit of durations in JSON.
    package var milliseconds: Int64 {
        let (seconds, attoseconds) = components
        let (whole, overflow) = seconds.multipliedReportingOverflow(by: 1000)
        let part = attoseconds / 1_000_000_000_000_000 + (attoseconds % 1_000_000_000_000_000 > 0 ? 1 : 0)
        let (sum, carried) = whole.addingReportingOverflow(part)
        guard !overflow, !carried else { return seconds < 0 ? .min : .max }
        return sum
    }
}
