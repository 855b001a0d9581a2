import NIOCore
import NIOEmbedded
import NIOHTTP1
import NIOHTTPCompression

/// gzip through the compressor of swift-nio-extras, which is a channel handler: it runs in a channel of its own that reaches no network.
enum Gzip {
    static func compressed(_ plain: ByteBuffer) throws -> ByteBuffer {
        let channel = EmbeddedChannel(handler: NIOHTTPRequestCompressor(encoding: .gzip))
        defer { _ = try? channel.finish() }
        // The three writes share one promise, which is done with the last: so nothing is waited for before it.
        channel.write(HTTPClientRequestPart.head(HTTPRequestHead(version: .http1_1, method: .POST, uri: "/")), promise: nil)
        channel.write(HTTPClientRequestPart.body(.byteBuffer(plain)), promise: nil)
        try channel.writeOutbound(HTTPClientRequestPart.end(nil))
        var compressed = ByteBuffer()
        while let part = try channel.readOutbound(as: HTTPClientRequestPart.self) {
            if case .body(.byteBuffer(var buffer)) = part { compressed.writeBuffer(&buffer) }
        }
        return compressed
    }
}
