extension OTLP {
    /// The body of an `Export...ServiceResponse`: what the receiver did not take.
    package struct PartialSuccess: Sendable, Hashable {
        /// Records that were refused and must not be sent again.
        package var rejected: Int64
        package var message: String

        package init(rejected: Int64 = 0, message: String = "") {
            self.rejected = rejected
            self.message = message
        }

        /// Reads a response body; an empty one, or one with an empty partial success, is full success.
        package init(_ body: [UInt8]) throws(Malformed) {
            self.init()
            var reader = ProtobufReader(body)
            while let field = try reader.next() {
                guard case (1, .bytes(var partial)) = (field.number, field.content) else { continue }
                while let entry = try partial.next() {
                    switch (entry.number, entry.content) {
                    case (1, .varint(let number)): rejected = Int64(bitPattern: number)
                    case (2, .bytes(let text)): message = try text.text()
                    default: continue
                    }
                }
            }
        }

        /// The response body that says so; empty for full success.
        package func encoded() -> [UInt8] {
            guard rejected != 0 || !message.isEmpty else { return [] }
            var writer = ProtobufWriter(capacity: 128)
            let slot = writer.open(1)
            writer.varint(1, UInt64(bitPattern: rejected))
            writer.string(2, message)
            writer.close(slot)
            return writer.bytes()
        }
    }

    /// The body of an error answer (`google.rpc.Status`).
    package struct RPCStatus: Sendable, Hashable {
        package var code: Int32
        package var message: String

        package init(code: Int32, message: String) {
            self.code = code
            self.message = message
        }

        package init(_ body: [UInt8]) throws(Malformed) {
            self.init(code: 0, message: "")
            var reader = ProtobufReader(body)
            while let field = try reader.next() {
                switch (field.number, field.content) {
                case (1, .varint(let number)): code = Int32(truncatingIfNeeded: number)
                case (2, .bytes(let text)): message = try text.text()
                default: continue
                }
            }
        }

        package func encoded() -> [UInt8] {
            var writer = ProtobufWriter(capacity: 128)
            writer.varint(1, UInt64(bitPattern: Int64(code)))
            writer.string(2, message)
            return writer.bytes()
        }
    }
}
