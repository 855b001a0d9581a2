/// What libFuzzer calls with every input that it thinks of: bytes that a link reads, after one that says where the link is in its life
/// and how they are cut (``Fuzz/link(_:)``). A trap, a complaint of the link or of the address sanitizer is a find.
///
/// `Tests/fuzz` builds and runs it, with `Tests/Corpus` to start from.
@_cdecl("LLVMFuzzerTestOneInput")
func linkReceives(_ bytes: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    // libFuzzer lends so many bytes for the time of the call; nobody keeps them.
    let complaints = unsafe Fuzz.link(UnsafeBufferPointer(start: bytes, count: count))
    if !complaints.isEmpty { fatalError("\(complaints)") }
    return 0
}
