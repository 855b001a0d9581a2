import LLMgineLLM

/// Puts the fragments of tool calls where they belong.
///
/// By the book the index of a fragment names its call, and id and name come with the first fragment only. Ollama and others give every call the index 0,
/// so an id other than that of the call under this index begins a new call.
struct OpenAIToolCalls {
    private struct Call {
        var id: String
        var name: String
        /// Our number, given when the name is known, because a call cannot begin without one.
        var number: Int?
        /// Fragments that came before the name.
        var waiting = ""
        var hasArguments = false
    }

    private var calls: [Call] = []
    /// The newest call under each index of the server.
    private var places: [Int: Int] = [:]
    private var begun = 0

    var isEmpty: Bool { calls.isEmpty }

    /// Takes one element of `tool_calls`. - Throws: `protocol` past the limit of calls.
    mutating func take(_ fragment: JSONValue) throws(LLMError) -> [LLMStreamEvent.Kind] {
        let function = fragment["function"] ?? fragment["custom"] ?? [:]
        let id = fragment["id"]?.string ?? ""
        let name = function["name"]?.string ?? ""
        let place = try place(index: fragment["index"]?.int, id: id, name: name)
        if calls[place].id.isEmpty { calls[place].id = id }
        if calls[place].name.isEmpty { calls[place].name = name }
        return grow(place, by: Self.arguments(of: function))
    }

    /// All calls are complete. - Throws: `protocol` if one never got a name.
    mutating func end() throws(LLMError) -> [LLMStreamEvent.Kind] {
        var kinds: [LLMStreamEvent.Kind] = []
        for call in calls {
            guard let number = call.number else { throw LLMError(.protocolViolation, "the server called a tool without a name") }
            if !call.hasArguments { kinds.append(.toolCallDelta(index: number, arguments: "{}")) }
            kinds.append(.toolCallEnd(index: number))
        }
        return kinds
    }

    /// Text as it is; an object, which some servers send whole, as JSON.
    private static func arguments(of function: JSONValue) -> String {
        switch function["arguments"] ?? function["input"] {
        case .string(let text): text
        case .object(let object): JSONValue.object(object).text
        case .null, .bool, .integer, .unsigned, .double, .array, nil: ""
        }
    }

    private mutating func place(index: Int?, id: String, name: String) throws(LLMError) -> Int {
        let current = index.map { places[$0] } ?? (id.isEmpty ? calls.indices.last : calls.lastIndex { $0.id == id })
        if let current, !begins(id: id, name: name, after: calls[current]) { return current }
        guard calls.count < OpenAIStreamDecoder.mostCalls else {
            throw LLMError(.protocolViolation, "the answer has more than \(OpenAIStreamDecoder.mostCalls) tool calls")
        }
        calls.append(Call(id: "", name: ""))
        if let index { places[index] = calls.count - 1 }
        return calls.count - 1
    }

    private func begins(id: String, name: String, after call: Call) -> Bool {
        if !id.isEmpty, !call.id.isEmpty { return id != call.id }
        return id.isEmpty && !name.isEmpty && !call.name.isEmpty && name != call.name
    }

    private mutating func grow(_ place: Int, by arguments: String) -> [LLMStreamEvent.Kind] {
        var kinds: [LLMStreamEvent.Kind] = []
        guard !calls[place].name.isEmpty else {
            calls[place].waiting += arguments
            return kinds
        }
        let number = calls[place].number ?? begun
        var arguments = arguments
        if calls[place].number == nil {
            begun += 1
            calls[place].number = number
            if calls[place].id.isEmpty { calls[place].id = "call_\(number)" }
            kinds.append(.toolCallStart(index: number, id: calls[place].id, name: calls[place].name))
            arguments = calls[place].waiting + arguments
            calls[place].waiting = ""
        }
        if !arguments.isEmpty {
            calls[place].hasArguments = true
            kinds.append(.toolCallDelta(index: number, arguments: arguments))
        }
        return kinds
    }
}
