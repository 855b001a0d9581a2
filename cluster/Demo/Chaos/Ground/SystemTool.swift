import Foundation
import LLMgine
import LLMgineTestKit

/// A program of the system that is run to its end.
struct SystemTool: Sendable {
    let path: String

    /// - Throws: `invalidArgument` if there is none of that name.
    init(_ name: String) throws {
        // Whoever is not root often has no /sbin in the PATH.
        let places = ["/usr/sbin", "/sbin", "/usr/bin", "/bin"].map { "\($0)/\(name)" }
        guard let path = places.first(where: { FileManager.default.isExecutableFile(atPath: $0) }) else {
            let package = ["ip": "iproute2", "mount": "mount", "umount": "mount"][name] ?? "util-linux"
            throw LLMgineError(.invalidArgument, "there is no program \(name) here (Debian package \(package))")
        }
        self.path = path
    }

    /// - Throws: `invalidArgument` with what it said, if it did not end well.
    func run(_ arguments: String...) async throws { try await run(arguments) }

    func run(_ arguments: [String]) async throws {
        let child = try ChildProcess(path, executable: path, arguments: arguments)
        child.endInput()
        let ending = await child.exit()
        guard ending == .code(0) else {
            let said = await child.all(.error).last ?? "\(ending)"
            throw LLMgineError(.invalidArgument, said)
        }
    }
}
