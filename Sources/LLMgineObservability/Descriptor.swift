#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

/// Files, pipes and terminals that are open, by the number that the system knows them by.
package enum Descriptor {
    /// Writes all of the bytes, however few the system takes at a time, and however often it is interrupted.
    /// - Returns: how many it took. Fewer than there are if nobody reads any more, or the disk is full: `errno` then says which.
    package static func write(_ bytes: [UInt8], to descriptor: Int32) -> Int {
        var written = 0
        while written < bytes.count {
            // The pointer stays inside the array, since `written` is less than its count, and the call keeps none.
            let count = unsafe bytes.withUnsafeBytes { unsafe write(descriptor, UnsafeRawBufferPointer(rebasing: $0[written...])) }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { return written }
            written += count
        }
        return written
    }

    private static func write(_ descriptor: Int32, _ bytes: UnsafeRawBufferPointer) -> Int {
        #if canImport(Glibc)
            unsafe Glibc.write(descriptor, bytes.baseAddress, bytes.count)
        #elseif canImport(Musl)
            unsafe Musl.write(descriptor, bytes.baseAddress, bytes.count)
        #else
            unsafe Darwin.write(descriptor, bytes.baseAddress, bytes.count)
        #endif
    }
}
