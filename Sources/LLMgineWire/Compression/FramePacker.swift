package import struct NIOCore.ByteBuffer

/// Puts the frames that go out on one link into COMPRESSED, where that makes them shorter.
///
/// A run is what one look at the outbox brought, in pieces of 64 KiB: it never waits for more to come, and what is urgent never waits for
/// longer than one piece takes. Control is a run of its own, ahead of the data, so that no grant waits until a run of data has arrived.
package struct FramePacker: Sendable {
    /// A run ends with the frame that would make it longer, unless it is the only one.
    package static let runBytes = 64 << 10
    /// Shorter runs are not tried: what deflate saves there is lost in the packet and the TLS record around it.
    package static let leastRun = 256

    /// Bytes of frames that came in here.
    package private(set) var plainBytes: UInt64 = 0
    /// Bytes that went out for them.
    package private(set) var wireBytes: UInt64 = 0

    private let maximumRun: Int
    private var control = PackingEffort()
    private var data = PackingEffort()

    /// - Parameter limits: what was agreed on for the link.
    package init(limits: WireLimits) { maximumRun = limits.maximumFrame }

    /// Packs what goes out, in order.
    /// - Parameters:
    ///   - buffers: each one or more whole frames.
    ///   - hasControl: whether the first of them is control, of any length. The others are a frame each.
    package mutating func pack(_ buffers: [ByteBuffer], hasControl: Bool, with deflater: borrowing Deflater) -> [ByteBuffer] {
        var packed: [ByteBuffer] = []
        packed.reserveCapacity(buffers.count)
        var rest = buffers[...]
        if hasControl, let first = rest.popFirst() {
            for run in FramePacker.runs(of: first) { pack([run], isControl: true, with: deflater, into: &packed) }
        }
        while !rest.isEmpty {
            let run = FramePacker.firstRun(of: rest)
            pack(run, isControl: false, with: deflater, into: &packed)
            rest = rest[run.endIndex...]
        }
        return packed
    }

    private mutating func pack(
        _ run: ArraySlice<ByteBuffer>, isControl: Bool, with deflater: borrowing Deflater, into packed: inout [ByteBuffer]
    ) {
        let length = run.reduce(0) { $0 + $1.readableBytes }
        plainBytes &+= UInt64(length)
        if length >= FramePacker.leastRun, length <= maximumRun, isWorthATry(isControl) {
            let frame = CompressedFrame.written(run, length: length, maximum: length - length / 8, with: deflater)
            if isControl { control.tried(hasPaid: frame != nil) } else { data.tried(hasPaid: frame != nil) }
            if let frame {
                wireBytes &+= UInt64(frame.readableBytes)
                return packed.append(frame)
            }
        }
        wireBytes &+= UInt64(length)
        packed += run
    }

    private mutating func isWorthATry(_ isControl: Bool) -> Bool { isControl ? control.isWorthATry() : data.isWorthATry() }

    /// The longest run from the start.
    private static func firstRun(of buffers: ArraySlice<ByteBuffer>) -> ArraySlice<ByteBuffer> {
        var length = 0
        let end = buffers.firstIndex { buffer in
            let isFirst = length == 0
            length += buffer.readableBytes
            return length > runBytes && !isFirst
        }
        return buffers[..<(end ?? buffers.endIndex)]
    }

    /// Cuts control at frames.
    private static func runs(of control: ByteBuffer) -> [ByteBuffer] {
        var runs: [ByteBuffer] = []
        var rest = control
        while rest.readableBytes > runBytes {
            guard let run = rest.readSlice(length: firstRunLength(in: rest)) else { break }
            runs.append(run)
        }
        runs.append(rest)
        return runs
    }

    private static func firstRunLength(in control: ByteBuffer) -> Int {
        var end = 0
        while let length = control.getInteger(at: control.readerIndex + end, as: UInt32.self) {
            let next = end + 4 + Int(length)
            if next > runBytes, end > 0 { break }
            end = next
        }
        return end
    }
}

/// Saves the time that deflate takes for what does not get shorter: pictures, or what is compressed already.
///
/// A run that is not an eighth shorter lets the next one go untried, then 3, 7 and at most 63; the first that pays ends that.
package struct PackingEffort: Sendable, Hashable {
    private var failures = 0
    private var untried = 0

    package init() {}

    /// Asked once for each run.
    package mutating func isWorthATry() -> Bool {
        guard untried > 0 else { return true }
        untried -= 1
        return false
    }

    /// What came of it.
    package mutating func tried(hasPaid: Bool) {
        failures = hasPaid ? 0 : min(failures + 1, PackingEffort.mostFailures)
        untried = (1 << failures) - 1
    }

    private static let mostFailures = 6
}
