import LLMgineCore
import LLMgineObservability
import Testing

@Suite struct `A traceparent header` {
    private static let trace = "0af7651916cd43dd8448eb211c80319c"
    private static let span = "b7ad6b7169203331"

    @Test(
        arguments: [
            ("00-\(trace)-\(span)-01", 1), ("00-\(trace)-\(span)-00", 0), ("00-\(trace)-\(span)-03", 3), ("00-\(trace)-\(span)-ff", 3),
            ("cc-\(trace)-\(span)-01", 1), ("01-\(trace)-\(span)-01-what-comes-later", 1),
        ] as [(String, UInt8)])
    func `is read`(header: String, flags: UInt8) throws {
        let context = try #require(TraceContext(traceparent: header))
        #expect(context.traceHigh == 0x0af7_6519_16cd_43dd && context.traceLow == 0x8448_eb21_1c80_319c)
        #expect(context.span == 0xb7ad_6b71_6920_3331 && context.flags == flags)
    }

    @Test(arguments: [
        "", "00", "00-\(trace)-\(span)", "00-\(trace)-\(span)-", "00-\(trace)-\(span)-0", "00-\(trace)-\(span)-01-",
        "00-\(trace)-\(span)-01-x",
        "00-\(trace)-\(span)-0g", "00-\(trace.uppercased())-\(span)-01", "00-\(trace)-\(span.uppercased())-01", "FF-\(trace)-\(span)-01",
        "ff-\(trace)-\(span)-01", "00-00000000000000000000000000000000-\(span)-01", "00-\(trace)-0000000000000000-01",
        "00_\(trace)-\(span)-01", "00-\(trace)_\(span)-01", "00-\(trace)-\(span)_01", " 00-\(trace)-\(span)-01", "01-\(trace)-\(span)-01.x",
        "00-\(trace)-\(span)-01 ", "00-é\(trace.dropFirst(2))-\(span)-01", String(repeating: "0", count: 55),
        String(repeating: "-", count: 5_000),
    ])
    func `is ignored`(header: String) { #expect(TraceContext(traceparent: header) == nil) }

    @Test func `is written as it was read`() throws {
        let header = "00-\(Self.trace)-\(Self.span)-03"
        #expect(try #require(TraceContext(traceparent: header)).traceparent == header)
        #expect(
            TraceContext(traceHigh: 0, traceLow: 1, span: 2, flags: 0xFC).traceparent
                == "00-00000000000000000000000000000001-0000000000000002-00")
    }
}
