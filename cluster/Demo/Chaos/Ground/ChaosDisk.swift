import Foundation
import LLMgine

/// A small disk that one journal has to itself, and that somebody else fills now and then.
struct ChaosDisk: Sendable {
    static let kilobytes = 1024

    /// Where it is mounted.
    let path: String
    private var filler: String { "\(path)/filler" }

    /// Makes a disk in memory, which goes with the namespace that this process is in.
    init(at path: String) async throws {
        self.path = path
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
        try await SystemTool("mount").run("-t", "tmpfs", "-o", "size=\(ChaosDisk.kilobytes)k,mode=700", "tmpfs", path)
    }

    /// Leaves no room on it.
    func fill() {
        if !FileManager.default.fileExists(atPath: filler) { _ = FileManager.default.createFile(atPath: filler, contents: nil) }
        guard let file = FileHandle(forWritingAtPath: filler) else { return }
        _ = try? file.seekToEnd()
        let block = Data(repeating: 0x2A, count: 4096)
        // Bounded by the size of the disk: past it, a write throws.
        for _ in 0...(ChaosDisk.kilobytes / 4) where (try? file.write(contentsOf: block)) == nil { break }
        try? file.close()
    }

    /// Keeps it full until it is cancelled, whatever others give back.
    func keepFull() async {
        while !Task.isCancelled {
            fill()
            try? await Task.sleep(for: .milliseconds(20))
        }
    }

    func giveBack() { try? FileManager.default.removeItem(atPath: filler) }

    func unmount() async { try? await SystemTool("umount").run(path) }
}
