import LLMgineOTLP
import Testing

@Suite struct `An answer to an export` {
    private func outcome(_ status: Int, body: [UInt8] = [], retryAfter: String? = nil) -> OTLP.Outcome {
        OTLP.Outcome(status: status, body: body, retryAfter: retryAfter, unixSeconds: 784_111_700)
    }

    @Test func `of 200 or 204 means that all is delivered`() {
        #expect(outcome(200) == .delivered(rejected: 0, message: ""))
        #expect(outcome(204) == .delivered(rejected: 0, message: ""))
        #expect(outcome(200, body: [0x0A, 0x00]) == .delivered(rejected: 0, message: ""), "an empty partial success is full success")
    }

    @Test func `of 200 counts what was rejected`() {
        let body = OTLP.PartialSuccess(rejected: 3, message: "old").encoded()
        #expect(outcome(200, body: body) == .delivered(rejected: 3, message: "old"))
        #expect(outcome(200, body: body).errorType == "rejected")
    }

    @Test func `of 200 with a body that cannot be read is still success`() {
        #expect(outcome(200, body: [0xFF]) == .delivered(rejected: 0, message: ""))
    }

    @Test(arguments: [429, 502, 503, 504])
    func `may be tried again`(status: Int) {
        #expect(outcome(status) == .unavailable(reason: .status(status), retryAfter: nil))
        #expect(outcome(status, retryAfter: "7") == .unavailable(reason: .status(status), retryAfter: .seconds(7)))
    }

    @Test(arguments: [301, 400, 401, 403, 404, 413, 415, 422, 500, 501])
    func `is final`(status: Int) {
        let body = OTLP.RPCStatus(code: 3, message: "no").encoded()
        #expect(outcome(status, body: body, retryAfter: "7") == .refused(status: status, message: "no"))
    }

    @Test(
        arguments: [
            ("0", 0), ("120", 120), ("-5", 0), ("99999999999", 86_400), ("Sun, 06 Nov 1994 08:49:37 GMT", 77),
            ("Sun, 06 Nov 1994 08:00:00 GMT", 0),
            ("Mon, 29 Feb 2044 00:00:00 GMT", 86_400),
            ("soon", nil), ("", nil), ("1.5", nil), ("Sun, 06 Nov 1994 08:49:37", nil), ("Sun, 6 Nov 1994 08:49:37 GMT", nil),
            ("Sun, 06 Foo 1994 08:49:37 GMT", nil), ("Sun, 06 Nov 1994 25:49:37 GMT", nil), ("Sunday, 06-Nov-94 08:49:37 GMT", nil),
        ] as [(String, Int?)])
    func `says when to come back in seconds or as a date`(text: String, seconds: Int?) {
        #expect(RetryAfter.duration(text, unixSeconds: 784_111_700) == seconds.map { .seconds($0) })
    }
}

@Suite struct `A retry schedule` {
    @Test func `doubles its delay up to the cap, and jitter takes any part of it`() {
        var schedule = RetrySchedule(deadline: .seconds(1_000))
        let latest = (0..<8).map { _ in schedule.failed(retryAfter: nil, at: .zero, random: 1) }
        #expect(
            latest == [.milliseconds(500), .seconds(1), .seconds(2), .seconds(4), .seconds(8), .seconds(15), .seconds(15), .seconds(15)])
        var half = RetrySchedule(deadline: .seconds(1_000))
        #expect(half.failed(retryAfter: nil, at: .seconds(1), random: 0.5) == .milliseconds(1_250))
        #expect(half.failed(retryAfter: nil, at: .seconds(2), random: 0) == .seconds(2))
    }

    @Test func `does what the receiver asks`() {
        var schedule = RetrySchedule(deadline: .seconds(30))
        #expect(schedule.failed(retryAfter: .seconds(7), at: .seconds(1), random: 0.5) == .seconds(8))
    }

    @Test func `gives up rather than pass its deadline`() {
        var schedule = RetrySchedule(deadline: .seconds(30))
        #expect(schedule.failed(retryAfter: .seconds(30), at: .seconds(1), random: 0.5) == nil)
        #expect(schedule.failed(retryAfter: nil, at: .seconds(30), random: 0) == nil)
    }
}
