import AsyncHTTPClient
import LLMgineOTLP
import NIOCore
import NIOHTTP1
import NIOSSL

/// Sends one request and says what became of it, by the table of the protocol.
struct OTLPSender: Sendable {
    private let client: HTTPClient
    private let signal: OTLPConfiguration.Signal
    private let userAgent: String
    private let tls: TLSConfiguration?

    /// The longest answer that is read.
    private static let maximumAnswer = 4 * 1024 * 1024
    /// The longest request that is sent, before compression.
    private static let maximumRequest = 64 * 1024 * 1024

    /// - Throws: what NIOSSL says of certificates that cannot be read.
    init(client: HTTPClient, signal: OTLPConfiguration.Signal, userAgent: String) throws {
        self.client = client
        self.signal = signal
        self.userAgent = userAgent
        tls = try Self.tls(of: signal)
    }

    /// What goes over the wire for a message: the bytes, compressed if that was asked for.
    func body(_ message: borrowing ProtobufWriter) throws -> ByteBuffer {
        let plain = unsafe message.withBytes { unsafe ByteBuffer(bytes: $0) }  // copied while it is lent
        return signal.usesGzip ? try Gzip.compressed(plain) : plain
    }

    /// Makes one attempt.
    func send(_ body: ByteBuffer, timeout: Duration, unixSeconds: Int64) async -> OTLP.Outcome {
        guard body.readableBytes <= Self.maximumRequest else { return .refused(status: 413, message: "larger than the protocol allows") }
        return await withTaskGroup(of: OTLP.Outcome.self) { group in
            group.addTask { await self.attempt(body, timeout: timeout, unixSeconds: unixSeconds) }
            // The client's own deadline ends with the head of the answer; this one covers the body.
            group.addTask {
                try? await Task.sleep(for: timeout)
                return .unavailable(reason: .timeout, retryAfter: nil)
            }
            let outcome = await group.next()
            group.cancelAll()
            return outcome ?? .unavailable(reason: .timeout, retryAfter: nil)
        }
    }

    private func attempt(_ body: ByteBuffer, timeout: Duration, unixSeconds: Int64) async -> OTLP.Outcome {
        do {
            let response = try await client.execute(request(body), timeout: TimeAmount(timeout))
            let answer = try await response.body.collect(upTo: Self.maximumAnswer)
            return OTLP.Outcome(
                status: Int(response.status.code), body: [UInt8](answer.readableBytesView),
                retryAfter: response.headers.first(name: "Retry-After"),
                unixSeconds: unixSeconds)
        } catch is NIOTooManyBytesError {
            return .refused(status: 502, message: "the answer is longer than the protocol allows")
        } catch let error as HTTPClientError where Self.isTimeout(error) {
            return .unavailable(reason: .timeout, retryAfter: nil)
        } catch let error as HTTPClientError where Self.isOurs(error) {
            return .refused(status: 400, message: "the endpoint cannot be used: \(error)")
        } catch {
            return .unavailable(reason: .connection, retryAfter: nil)
        }
    }

    private func request(_ body: ByteBuffer) -> HTTPClientRequest {
        var request = HTTPClientRequest(url: signal.endpoint)
        request.method = .POST
        request.headers.add(name: "Content-Type", value: "application/x-protobuf")
        request.headers.add(name: "User-Agent", value: userAgent)
        if signal.usesGzip { request.headers.add(name: "Content-Encoding", value: "gzip") }
        for (name, value) in signal.headers { request.headers.replaceOrAdd(name: name, value: value) }
        request.body = .bytes(body)
        request.tlsConfiguration = tls
        return request
    }

    private static func isTimeout(_ error: HTTPClientError) -> Bool {
        [.deadlineExceeded, .connectTimeout, .readTimeout, .writeTimeout, .getConnectionFromPoolTimeout].contains(error)
    }

    private static func isOurs(_ error: HTTPClientError) -> Bool {
        [.invalidURL, .emptyHost, .emptyScheme].contains(error)
    }

    private static func tls(of signal: OTLPConfiguration.Signal) throws -> TLSConfiguration? {
        guard signal.endpoint.lowercased().hasPrefix("https://") else { return nil }
        var tls = TLSConfiguration.makeClientConfiguration()
        if let path = signal.certificate { tls.trustRoots = .file(path) }
        if let path = signal.clientCertificate {
            tls.certificateChain = try NIOSSLCertificate.fromPEMFile(path).map { .certificate($0) }
        }
        if let path = signal.clientKey { tls.privateKey = .privateKey(try NIOSSLPrivateKey(file: path, format: .pem)) }
        return tls
    }
}
