import AsyncHTTPClient
import FoundationEssentials
import LLMgineLLM
import Logging
import NIOCore
import NIOHTTP1

/// One HTTP call of the provider: sent by the first pull, closed when it is dropped.
///
/// The body is asked for piece by piece, so a slow consumer holds back the server. Dropping the body's iterator before its end closes the connection, which
/// is the one signal to stop that all servers know.
final class OpenAIExchange {
    /// The longest answer that is not a stream, and the longest error, in bytes.
    private static let longestBody = 16 << 20
    private static let longestErrorBody = 64 << 10
    /// How long the end of the body is waited for once the answer is complete, so that the connection can be used again.
    private static let grace = Duration.milliseconds(100)

    private enum State {
        case unsent
        case streaming(BodyReader)
        case closed
    }

    private let request: HTTPClientRequest
    private let client: HTTPClient
    private let deadline: CallDeadline
    private let secret: Secret?
    private let provider: String
    private let logger: Logger
    private var state = State.unsent
    private var parser = SSEParser()
    private var decoder: OpenAIStreamDecoder

    init(
        _ request: HTTPClientRequest, client: HTTPClient, deadline: CallDeadline, secret: Secret?, start: LLMStart, inputBytes: Int,
        logger: Logger
    ) {
        self.request = request
        self.client = client
        self.deadline = deadline
        self.secret = secret
        self.provider = start.provider
        self.logger = logger
        self.decoder = OpenAIStreamDecoder(start: start, inputBytes: inputBytes) { secret?.redacted(from: $0) ?? $0 }
    }

    /// What the server has next, nil after the end.
    func pull() async throws(LLMError) -> [LLMStreamEvent.Kind]? {
        while true {
            switch state {
            case .unsent: if let whole = try await send() { return whole }
            case .streaming(let body):
                let kinds = try await read(body)
                if !kinds.isEmpty { return kinds }
            case .closed: return nil
            }
        }
    }

    /// Sends the request, and returns the answer if it came whole.
    private func send() async throws(LLMError) -> [LLMStreamEvent.Kind]? {
        state = .closed
        let (request, client, provider) = (request, client, provider)
        let response = try await deadline.limit { () async throws(LLMError) in
            do {
                return try await client.execute(request, deadline: .distantFuture)
            } catch {
                throw HTTPFailure.error(error, provider: provider, inBody: false)
            }
        }
        guard response.status == .ok else { throw try await refusal(response) }
        let body = BodyReader(response, provider: provider)
        guard response.headers.first(name: "content-type")?.lowercased().hasPrefix("application/json") == true else {
            state = .streaming(body)
            return nil
        }
        // Some servers answer whole although a stream was asked for. A message reads like one large delta.
        let text = try await collect(body, upTo: Self.longestBody)
        let kinds = decoder.decode(text)
        return decoder.isDone ? kinds : kinds + decoder.endOfBody()
    }

    private func read(_ body: BodyReader) async throws(LLMError) -> [LLMStreamEvent.Kind] {
        guard let bytes = try await deadline.limit({ () async throws(LLMError) in try await body.next() }) else {
            state = .closed
            return decoder.endOfBody()
        }
        var kinds: [LLMStreamEvent.Kind] = []
        for event in try parser.feed(bytes) { kinds += decoder.decode(event.data) }
        if decoder.isDone {
            state = .closed
            _ = await deadline.attempt(for: Self.grace) { () async throws(LLMError) in
                while try await body.next() != nil {}
            }
        }
        return kinds
    }

    private func refusal(_ response: HTTPClientResponse) async throws(LLMError) -> LLMError {
        // A server may stop in the middle of its error too; what it said with the status still counts.
        let body = try? await collect(BodyReader(response, provider: provider), upTo: Self.longestErrorBody)
        let hints = RetryHints(now: Date().timeIntervalSince1970) { response.headers.first(name: $0) }
        let requestID = response.headers.first(name: "x-request-id")
        var error = OpenAIErrorClassifier.response(
            status: Int(response.status.code), body: body ?? "", hints: hints, requestID: requestID,
            redact: { [secret] in secret?.redacted(from: $0) ?? $0 })
        error.provider = provider
        logger.debug(
            "provider refused a call",
            metadata: [
                "provider": "\(provider)", "status": "\(response.status.code)", "code": "\(error.code.rawValue)",
                "request": "\(requestID ?? "-")",
            ])
        return error
    }

    private func collect(_ body: BodyReader, upTo limit: Int) async throws(LLMError) -> String {
        var collected = ByteBuffer()
        while let bytes = try await deadline.limit({ () async throws(LLMError) in try await body.next() }) {
            guard collected.readableBytes + bytes.readableBytes <= limit else {
                throw LLMError(.protocolViolation, "the server's answer is larger than \(limit) bytes", provider: provider)
            }
            collected.writeImmutableBuffer(bytes)
        }
        return String(buffer: collected)
    }
}

/// Hands the body of one answer from one waiting task to the next.
///
/// `@unchecked Sendable`: the iterator is touched only in ``next()``. An exchange calls it from a child task of a group that it leaves after that child has
/// ended, and starts the next child later, so two calls never overlap and each happens after the one before.
private final class BodyReader: @unchecked Sendable {
    private var iterator: HTTPClientResponse.Body.AsyncIterator
    private let provider: String

    init(_ response: HTTPClientResponse, provider: String) {
        self.iterator = response.body.makeAsyncIterator()
        self.provider = provider
    }

    func next() async throws(LLMError) -> ByteBuffer? {
        do {
            return try await iterator.next()
        } catch {
            throw HTTPFailure.error(error, provider: provider, inBody: true)
        }
    }
}

/// Says in our words why HTTP failed. Only constant texts go in: an address may hold a password.
private enum HTTPFailure {
    static func error(_ error: any Error, provider: String, inBody: Bool) -> LLMError {
        if Task.isCancelled || error is CancellationError { return LLMError(.cancelled, "the caller gave up", provider: provider) }
        if let error = error as? HTTPClientError {
            switch error {
            case .cancelled: return LLMError(.cancelled, "the caller gave up", provider: provider)
            case .connectTimeout, .readTimeout, .writeTimeout, .getConnectionFromPoolTimeout, .tlsHandshakeTimeout, .deadlineExceeded:
                return LLMError(.timeout, error.shortDescription, provider: provider)
            case .invalidURL, .emptyHost, .missingSocketPath, .emptyScheme:
                return LLMError(.invalidRequest, error.shortDescription, provider: provider)
            default: break  // HTTPClientError is a struct of constants and grows with every release
            }
        }
        return inBody
            ? LLMError(.truncatedStream, "the connection broke in the middle of the answer", provider: provider)
            : LLMError(.connection, "the server could not be reached", provider: provider)
    }
}
