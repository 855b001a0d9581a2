import Hummingbird
import LLMgineOTLP
import NIOCore

import class FoundationEssentials.JSONEncoder

extension OTLPSink {
    func router() -> Router<BasicRequestContext> {
        let router = Router()
        router.get("/") { _, _ in try self.answer(self.summary) }
        router.post("/v1/traces") { request, _ in
            await self.take(request) { bytes throws(OTLP.Malformed) in
                let spans = try OTLP.Request(traces: bytes)
                self.enter { $0.add(spans) }
            }
        }
        router.post("/v1/metrics") { request, _ in
            await self.take(request) { bytes throws(OTLP.Malformed) in
                let metrics = try OTLP.Request(metrics: bytes)
                self.enter { $0.add(metrics: metrics) }
            }
        }
        router.post("/v1/logs") { request, _ in
            await self.take(request) { bytes throws(OTLP.Malformed) in
                let records = try OTLP.Request(logs: bytes)
                self.enter { $0.add(logs: records) }
            }
        }
        return router
    }

    /// Reads a request, hands its bytes to `enter`, and answers as the protocol says.
    private func take(_ request: Request, enter: (_ bytes: [UInt8]) throws(OTLP.Malformed) -> Void) async -> Response {
        let fault = nextFault()
        if case .answer(let status, let retryAfter) = fault { return scripted(status, retryAfter: retryAfter) }
        if case .hang = fault {
            await hold()
            return refusal(.serviceUnavailable, "held")
        }
        // A suffix such as "; charset=utf-8" is allowed.
        guard request.headers[.contentType]?.lowercased().hasPrefix("application/x-protobuf") == true else {
            return refusal(.unsupportedMediaType, "expected application/x-protobuf")
        }
        var request = request
        guard let body = try? await request.collectBody(upTo: Self.maximumRequest) else {
            return refusal(.contentTooLarge, "larger than \(Self.maximumRequest) bytes")
        }
        var plain = body
        switch request.headers[.contentEncoding]?.lowercased() {
        case nil, "identity": break
        case "gzip":
            guard let inflated = try? Gunzip.decompressed(body, limit: Self.maximumRequest) else { return refusal(.badRequest, "not gzip") }
            plain = inflated
        default: return refusal(.unsupportedMediaType, "expected gzip or no encoding")
        }
        do {
            try enter([UInt8](plain.readableBytesView))
        } catch {
            return refusal(.badRequest, error.description)
        }
        guard case .partialSuccess(let rejected, let message) = fault else { return success(OTLP.PartialSuccess()) }
        return success(OTLP.PartialSuccess(rejected: Int64(rejected), message: message))
    }

    private func answer(_ summary: SinkSummary) throws -> Response {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        return Response(
            status: .ok, headers: [.contentType: "application/json"],
            body: ResponseBody(byteBuffer: ByteBuffer(bytes: try encoder.encode(summary))))
    }

    private func success(_ partial: OTLP.PartialSuccess) -> Response {
        Response(
            status: .ok, headers: [.contentType: "application/x-protobuf"],
            body: ResponseBody(byteBuffer: ByteBuffer(bytes: partial.encoded())))
    }

    /// A refusal carries the code `INVALID_ARGUMENT` and says why.
    private func refusal(_ status: HTTPResponse.Status, _ message: String) -> Response {
        enter { $0.refuse() }
        let body = OTLP.RPCStatus(code: 3, message: message).encoded()
        return Response(
            status: status, headers: [.contentType: "application/x-protobuf"], body: ResponseBody(byteBuffer: ByteBuffer(bytes: body)))
    }

    private func scripted(_ status: Int, retryAfter: String?) -> Response {
        var response = refusal(HTTPResponse.Status(code: status), "scripted")
        if let retryAfter { response.headers[.retryAfter] = retryAfter }
        return response
    }
}
