import LLMgineCore
import LLMgineWire
import NIOCore
import Testing

@Suite struct `A frame` {
    @Test(arguments: Golden.all)
    func `is written in exactly its bytes`(golden: Golden) {
        var buffer = ByteBuffer()
        golden.frame.write(into: &buffer)
        #expect(Hex.text(buffer) == golden.hex)
    }

    @Test(arguments: Golden.all)
    func `is read back from them`(golden: Golden) throws {
        #expect(try Exercise.frames(in: golden.bytes) == [golden.frame])
    }

    @Test(arguments: FrameType.allCases)
    func `of each type is in the golden table`(type: FrameType) {
        #expect(Golden.frame(type) != nil)
    }

    @Test func `passes a pipeline without an allocation`() {
        #expect(MemoryLayout<Frame>.size <= 24)
    }

    @Test(arguments: Golden.all)
    func `cut short is waited for`(golden: Golden) throws {
        for length in 0..<golden.bytes.readableBytes {
            #expect(try Exercise.frames(in: golden.bytes.getSlice(at: 0, length: length)!) == [])
        }
    }

    @Test(arguments: Golden.all)
    func `with a body cut short is refused or read, never trusted`(golden: Golden) {
        for length in 4..<golden.bytes.readableBytes {
            Exercise.survives(golden.bytes.getSlice(at: 0, length: length)!.withFixedLength)
        }
    }

    @Test(arguments: Golden.all)
    func `with any bit or byte changed is refused or read, never trusted`(golden: Golden) {
        let bytes = golden.bytes
        for index in 0..<bytes.readableBytes {
            let original: UInt8 = bytes.getInteger(at: index)!
            for value in (0..<8).map({ original ^ (1 << $0) }) + [0x00, 0x7F, 0x80, 0xFF] {
                var changed = bytes
                changed.setInteger(value, at: index)
                Exercise.survives(changed)
            }
        }
    }

    @Test(arguments: Golden.all)
    func `with bytes behind its last field is refused, but for HELLO and REJECT`(golden: Golden) throws {
        var longer = golden.bytes
        longer.writeInteger(0, as: UInt8.self)
        let isOpen = golden.frame.type == .hello || golden.frame.type == .reject
        if case .compressed(var run) = golden.frame {
            // Up to the end as well: what deflate does not make is refused when it is inflated.
            run.deflated.writeInteger(0, as: UInt8.self)
            #expect(try Exercise.frames(in: longer.withFixedLength) == [.compressed(run)])
        } else if case .fragment(var fragment) = golden.frame {
            fragment.bytes.writeInteger(0, as: UInt8.self)  // the part goes up to the end, wherever that is
            #expect(try Exercise.frames(in: longer.withFixedLength) == [.fragment(fragment)])
        } else if case .callPart(var part) = golden.frame, part.part != .givenUp {
            part.bytes.writeInteger(0, as: UInt8.self)
            #expect(try Exercise.frames(in: longer.withFixedLength) == [.callPart(part)])
        } else if isOpen {
            #expect(try Exercise.frames(in: longer.withFixedLength) == [golden.frame])
        } else {
            #expect(throws: LLMgineError(.malformedFrame, "")) { try Exercise.frames(in: longer.withFixedLength) }
        }
    }

    @Test func `of a later version is passed over if it may be`() throws {
        let bytes = ByteBuffer(bytes: Hex.bytes("00000005 7f 00 010203") + Hex.bytes("00000003 34 00 4d"))
        #expect(try Exercise.frames(in: bytes) == [.unknown(0x7F), .cancel(CancelFrame(request: 77))])
    }

    @Test func `of a later version that must be understood is refused`() {
        #expect(throws: LLMgineError(.unexpectedFrame, "")) { try Exercise.frames(in: ByteBuffer(bytes: Hex.bytes("00000002 7f 80"))) }
    }

    @Test func `may say that it must be understood, and no more`() throws {
        #expect(try Exercise.frames(in: ByteBuffer(bytes: Hex.bytes("00000003 34 80 4d"))) == [.cancel(CancelFrame(request: 77))])
        #expect(throws: LLMgineError(.malformedFrame, "")) { try Exercise.frames(in: ByteBuffer(bytes: Hex.bytes("00000003 34 01 4d"))) }
    }

    @Test func `that closes is cut at a character when its text is too long`() throws {
        var buffer = ByteBuffer()
        Frame.goodbye(GoodbyeFrame(code: 1, detail: "x" + String(repeating: "ü", count: 600))).write(into: &buffer)
        #expect(try Exercise.frames(in: buffer) == [.goodbye(GoodbyeFrame(code: 1, detail: "x" + String(repeating: "ü", count: 511)))])
    }

    @Test(arguments: [
        ("limitExceeded", "21 00 02 8102 00"),  // 257 flows
        ("malformedFrame", "21 00 02 00 0000000000000000 01 04000100"),  // no flow
        ("malformedFrame", "21 00 04 01 09 0000000000000000 01 04000100"),  // priority 4
        ("malformedFrame", "21 00 02 01 09 0000000000000000 00"),  // no message
        ("malformedFrame", "21 00 02 01 09 ffffffffffffffff 01 04000100"),  // a base that a delta could overflow
        ("malformedFrame", "21 00 02 01 09 0000000000000000 ffffffff0f 04000100"),  // a count larger than what is left
        ("malformedFrame", "21 00 02 01 8080808010 0000000000000000 01 04000100"),  // a flow of 33 bits
        ("limitExceeded", "10 00 00 00 01 a18d06"),  // 100,001 entries
        ("malformedFrame", "10 00 00 02 01 00 00"),  // from after to
        ("malformedFrame", "10 00 00 00 01 01 09 00 00 00 01 00 00 00"),  // an entry without a filter
        ("limitExceeded", "10 00 00 00 01 01 09 00 11" + String(repeating: "0178", count: 17) + "00 01 00 00 00"),  // 17 filters
        ("malformedFrame", "10 00 00 00 01 01 09 00 01 022e2e 00 01 00 00 00"),  // a filter `..`
        ("malformedFrame", "10 00 00 00 01 01 09 02 01 0178 00 01 00 00 00"),  // kind 2
        ("malformedFrame", "10 00 00 00 01 01 09 00 01 0178 00 03 00 00 00"),  // policy 3
        ("limitExceeded", "40 00 8108"),  // 1,025 members
        ("malformedFrame", "40 00 ff07"),  // 1,023 members in no bytes
        ("malformedFrame", "20 00 00 0178"),  // number 0
        ("limitExceeded", "20 00 818004 0178"),  // number 65,537
        ("malformedFrame", "20 00 01 00"),  // no text
        ("limitExceeded", "20 00 01 8102" + String(repeating: "78", count: 257)),  // 257 bytes
        ("malformedFrame", "20 00 01 02c328"),  // not UTF-8
        ("malformedFrame", "20 00 01 03eda080"),  // half a surrogate pair
        ("malformedFrame", "05 00 8180808080 8001"),  // a deadline of more than 139 years
        ("malformedFrame", "31 00 4d 02 04000100"),  // last is 2
        ("malformedFrame", "09 00 05 01"),  // a run too short for a frame
        ("malformedFrame", "09 00 06"),  // nothing to inflate
        ("malformedFrame", "01 00 4c4c4d48 01 01"),  // not our magic
        ("malformedFrame", "01 00 4c4c4d47 02 01"),  // versions 2 down to 1
    ])
    func `that breaks a rule is refused`(code: String, body: String) {
        let bytes = ByteBuffer(bytes: Hex.bytes("00000000") + Hex.bytes(body)).withFixedLength
        let error = #expect(throws: LLMgineError.self) { try Exercise.frames(in: bytes) }
        #expect(error?.code.rawValue == code, "\(error?.detail ?? "")")
    }

    @Test(arguments: [
        (0, "00"), (1, "01"), (127, "7f"), (128, "8001"), (16_383, "ff7f"), (16_384, "808001"), (UInt64.max, "ffffffffffffffffff01"),
    ])
    func `writes a number in as few bytes as it takes`(value: UInt64, hex: String) throws {
        let bytes = ByteBuffer(bytes: Hex.bytes("00000000 34 00" + hex)).withFixedLength
        #expect(try Exercise.frames(in: bytes) == [.cancel(CancelFrame(request: value))])
        #expect(Varint.length(value) == hex.count / 2)
    }

    @Test func `computes the length of every width of number`() {
        for bits in 0..<64 {
            for value in [UInt64(1) << bits, (UInt64(1) << bits) - 1, UInt64.max >> bits] {
                var buffer = ByteBuffer()
                buffer.writeVarint(value)
                #expect(Varint.length(value) == buffer.readableBytes)
            }
        }
    }

    @Test(arguments: [
        "8000", "ff00", "808080808080808080 00", "80808080808080808002", "ffffffffffffffffff7f", "8080808080808080808001", "80", "",
        "ffffffffffffffffffff",
    ])
    func `refuses a number that is overlong, too large or cut short`(hex: String) {
        let bytes = ByteBuffer(bytes: Hex.bytes("00000000 34 00") + Hex.bytes(hex)).withFixedLength
        #expect(throws: LLMgineError(.malformedFrame, "")) { try Exercise.frames(in: bytes) }
    }
}
