import Hummingbird
import LLMgineLLM
import Logging
import NIOCore
import Synchronization

/// A server that speaks OpenAI's chat completions as badly as a test wants. The model that a request names chooses the replies.
struct MockOpenAIServer: Sendable {
    /// One answer to one request.
    struct Reply: Sendable {
        enum Ending { case complete, abort, hang }

        var status = 200
        var headers: [String: String] = ["content-type": "text/event-stream"]
        var pieces: [ByteBuffer] = []
        var ending = Ending.complete

        /// A stream of chunks, each in a piece of its own.
        static func stream(_ chunks: [String], done: Bool = true, ending: Ending = .complete) -> Reply {
            Reply(pieces: (chunks + (done ? ["[DONE]"] : [])).map { ByteBuffer(string: "data: \($0)\n\n") }, ending: ending)
        }

        static func json(_ status: Int, _ body: String, headers: [String: String] = [:]) -> Reply {
            Reply(status: status, headers: headers.merging(["content-type": "application/json"]) { $1 }, pieces: [ByteBuffer(string: body)])
        }

        /// The same bytes in pieces of another size.
        func split(every size: Int) -> Reply {
            var all = pieces.reduce(into: ByteBuffer()) { $0.writeImmutableBuffer($1) }
            var reply = self
            reply.pieces = []
            while all.readableBytes > 0, let piece = all.readSlice(length: min(size, all.readableBytes)) { reply.pieces.append(piece) }
            return reply
        }
    }

    struct Recorded: Sendable {
        let headers: [String: String]
        let body: JSONValue
        var model: String { body["model"]?.string ?? "" }
    }

    private struct Aborted: Error {}

    private final class Record: Sendable {
        let requests = Mutex<[Recorded]>([])
    }

    let baseURL: String
    private let record: Record
    private let closes: AsyncStream<Void>
    private let begins: AsyncStream<Void>

    /// The requests so far.
    var requests: [Recorded] { record.requests.withLock { $0 } }

    /// Waits until a client closed the connection of a reply that hangs. Each such event is waited for once.
    func closed() async {
        for await _ in closes { break }
    }

    /// Waits until a reply begins to hang. Each such event is waited for once.
    func hangs() async {
        for await _ in begins { break }
    }

    /// Runs the body against a server on a free port, which has gone when this returns.
    /// - Parameter scenarios: by model, the replies in turn; the last one again for all further requests.
    static func serving<Value: Sendable>(
        _ scenarios: [String: [Reply]], _ body: @Sendable @escaping (MockOpenAIServer) async throws -> Value
    ) async throws -> Value {
        let record = Record()
        let (closes, closing) = AsyncStream.makeStream(of: Void.self)
        let (begins, beginning) = AsyncStream.makeStream(of: Void.self)
        let (ports, running) = AsyncStream.makeStream(of: Int.self)
        let router = Router()
        router.post("/v1/chat/completions") { request, _ in
            try await respond(to: request, from: scenarios, record: record, beginning: beginning, closing: closing)
        }
        let application = Application(
            router: router, configuration: .init(address: .hostname("127.0.0.1", port: 0)),
            onServerRunning: { running.yield($0.localAddress?.port ?? 0) }, logger: Logger(label: "mock") { _ in SwiftLogNoOpLogHandler() })
        return try await withThrowingTaskGroup(of: Value?.self) { group in
            group.addTask {
                try? await application.run()
                running.finish()
                return nil
            }
            group.addTask {
                for await port in ports {
                    return try await body(
                        MockOpenAIServer(baseURL: "http://127.0.0.1:\(port)/v1", record: record, closes: closes, begins: begins))
                }
                return nil
            }
            defer { group.cancelAll() }
            for try await value in group {
                if let value { return value }
            }
            throw Aborted()
        }
    }

    private static func respond(
        to request: Request, from scenarios: [String: [Reply]], record: Record, beginning: AsyncStream<Void>.Continuation,
        closing: AsyncStream<Void>.Continuation
    ) async throws -> Response {
        var request = request
        let body = try JSONValue(parsing: try await request.collectBody(upTo: 1 << 20))
        let headers = Dictionary(request.headers.map { ($0.name.canonicalName, $0.value) }) { one, _ in one }
        let recorded = Recorded(headers: headers, body: body)
        let count = record.requests.withLock { requests in
            requests.append(recorded)
            return requests.count { $0.model == recorded.model } - 1
        }
        guard let replies = scenarios[recorded.model], let last = replies.last else { return Response(status: .notImplemented) }
        let reply = replies.indices.contains(count) ? replies[count] : last
        var fields = HTTPFields()
        for (name, value) in reply.headers {
            if let name = HTTPFields.Element.Name(name) { fields[name] = value }
        }
        let hanging = request
        return Response(
            status: .init(code: reply.status), headers: fields,
            body: ResponseBody { writer in
                for piece in reply.pieces { try await writer.write(piece) }
                switch reply.ending {
                case .complete: try await writer.finish(nil)
                case .abort: throw Aborted()
                case .hang:
                    beginning.yield()
                    try? await hanging.body.consumeWithCancellationOnInboundClose { _ in
                        for await _ in AsyncStream(Void.self, { _ in }) {}
                    }
                    closing.yield()
                    throw Aborted()
                }
            })
    }
}

/// The chunks of a chat completion, as OpenAI writes them.
enum Chunk {
    static func delta(_ delta: String, finish: String? = nil) -> String {
        let reason = finish.map { "\"\($0)\"" } ?? "null"
        return
            #"{"id":"chatcmpl-9","object":"chat.completion.chunk","created":1,"model":"m-2026","choices":[{"index":0,"delta":\#(delta),"finish_reason":\#(reason)}],"usage":null}"#
    }

    static func text(_ text: String) -> String { delta("{\"content\":\(JSONValue.string(text).text)}") }
    static let role = delta(#"{"role":"assistant","content":""}"#)
    static func finish(_ reason: String) -> String { delta("{}", finish: reason) }
    static let usage =
        #"{"id":"chatcmpl-9","object":"chat.completion.chunk","created":1,"model":"m-2026","choices":[],"usage":{"prompt_tokens":9,"completion_tokens":7,"total_tokens":16,"prompt_tokens_details":{"cached_tokens":4},"completion_tokens_details":{"reasoning_tokens":0}}}"#

    static func call(index: Int? = nil, id: String? = nil, name: String? = nil, arguments: String? = nil, extra: String = "") -> String {
        var members: [String] = []
        if let index { members.append("\"index\":\(index)") }
        if let id { members.append("\"id\":\"\(id)\",\"type\":\"function\"") }
        var function: [String] = []
        if let name { function.append("\"name\":\"\(name)\"") }
        if let arguments { function.append("\"arguments\":\(JSONValue.string(arguments).text)") }
        members.append("\"function\":{\(function.joined(separator: ","))}")
        return delta("{\(extra)\"tool_calls\":[{\(members.joined(separator: ","))}]}")
    }

    static let hello = [role, text("Hel"), text("lo ü😀"), finish("stop"), usage]
    static let parallelCalls = [
        call(index: 0, id: "call_1", name: "weather", arguments: ""), call(index: 0, arguments: "{\"city\":"),
        call(index: 0, arguments: "\"Oslo\"}"),
        call(index: 1, id: "call_2", name: "weather", arguments: ""), call(index: 1, arguments: "{\"city\":\"Rome\"}"),
        finish("tool_calls"), usage,
    ]
}
