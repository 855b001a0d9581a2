import NIOCore
import NIOEmbedded
import NIOHTTP1
import NIOHTTPCompression

/// gunzip through the decompressor of swift-nio-extras, which is a channel handler: it runs in a channel of its own that reaches no network.
enum Gunzip {
    /// - Throws: if the bytes are not gzip, or are longer than the limit when they are inflated.
    static func decompressed(_ compressed: ByteBuffer, limit: Int) throws -> ByteBuffer {
        let channel = EmbeddedChannel(handler: NIOHTTPRequestDecompressor(limit: .size(limit)))
        defer { _ = try? channel.finish() }
        let headers: HTTPHeaders = ["Content-Encoding": "gzip", "Content-Length": "\(compressed.readableBytes)"]
        try channel.writeInbound(HTTPServerRequestPart.head(HTTPRequestHead(version: .http1_1, method: .POST, uri: "/", headers: headers)))
        try channel.writeInbound(HTTPServerRequestPart.body(compressed))
        try channel.writeInbound(HTTPServerRequestPart.end(nil))
        var plain = ByteBuffer()
        while let part = try channel.readInbound(as: HTTPServerRequestPart.self) {
            if case .body(var buffer) = part { plain.writeBuffer(&buffer) }
        }
        return plain
    }
}
