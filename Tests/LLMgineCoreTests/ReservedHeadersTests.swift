import LLMgineCore
import NIOCore
import Testing

@Suite struct `Reserved headers` {
    private let origin = MessageID(node: "leaf", incarnation: Incarnation(1_700_000_000), sequence: 42)

    @Test func `are taken away, and the application's stay in their order`() {
        var message = Message(topic: "t", payload: ByteBuffer(), headers: ["a": "1", "llmgine-x": "2", "a": "3", "llmgine-command": "4"])
        #expect(message.takeOrigin() == nil)
        #expect(message.headers == ["a": "1", "a": "3"])
        message.headers = ["llmgine-command": "4", "llmgine-x": "2"]
        _ = message.takeOrigin(keeping: ["llmgine-command"])
        #expect(message.headers == ["llmgine-command": "4"])
    }

    @Test func `say whose a message is, whatever it said before`() {
        let forged = Message(topic: "t", payload: ByteBuffer(), headers: [Headers.origin: "admin/1/1", "a": "1"])
        var stamped = forged.stamped(with: origin)
        #expect(stamped.takeOrigin() == origin)
        #expect(stamped.headers == ["a": "1"])
    }

    @Test func `leave a message without headers as it is`() {
        var message = Message(topic: "t", payload: ByteBuffer())
        #expect(message.takeOrigin() == nil)
        #expect(message.headers.isEmpty)
    }

    @Test func `never make a message longer than a link takes`() {
        var headers = Headers()
        for number in 0..<Headers.maximumCount { headers.add("h\(number)", "") }
        let stamped = Message(topic: "t", payload: ByteBuffer(), headers: headers).stamped(with: origin)
        #expect(stamped.headers.count == Headers.maximumCount)
    }

    @Test(arguments: [
        "", "a", "a/1", "a/1/1/1", "a//1", "../1/1", "a/!/1", "a/1/-1", "a/1/99999999999999999999", "a/zzzzzzzzzzzzzzzzzzzzz/1",
    ])
    func `that are no origin name none`(text: String) {
        #expect(MessageID(text) == nil)
    }

    @Test func `read an origin as it is written`() {
        #expect(MessageID(origin.description) == origin)
    }
}
