import Glibc
import LLMgineCore
import SystemPackage

import struct FoundationEssentials.Data
import struct FoundationEssentials.URL

/// Reads and writes the PEM files of a cluster, with the care that private keys need.
enum CertificateFile {
    static let authority = "ca.pem"
    static let authorityKey = "ca.key"
    static let node = "node.pem"
    static let nodeKey = "node.key"

    /// The most bytes a PEM file may have: a chain with several intermediates is a tenth of it.
    static let maximumBytes = 256 << 10

    /// Who may read a file that is written here.
    enum Access {
        case everyone
        case ownerOnly

        var mode: mode_t { self == .ownerOnly ? 0o600 : 0o644 }
    }

    /// The whole of a text file. - Throws: `tlsFailure` naming the path and the reason.
    static func read(_ path: String) throws(LLMgineError) -> String {
        var status = stat()
        guard unsafe stat(path, &status) == 0 else { throw LLMgineError(.tlsFailure, "\(path): \(Errno(rawValue: errno))") }
        guard status.st_size <= maximumBytes else {
            throw LLMgineError(.tlsFailure, "\(path): has \(status.st_size) bytes, more than a PEM file may have (\(maximumBytes))")
        }
        // Foundation does not pass on why it cannot read a file. The call copies the name.
        let descriptor = unsafe open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw LLMgineError(.tlsFailure, "\(path): \(Errno(rawValue: errno))") }
        close(descriptor)
        guard status.st_mode & S_IFMT != S_IFDIR else { throw LLMgineError(.tlsFailure, "\(path): is a directory") }
        do {
            return String(decoding: try Data(contentsOf: URL(filePath: path)), as: UTF8.self)
        } catch {
            throw LLMgineError(.tlsFailure, "\(path): cannot be read", cause: error)
        }
    }

    /// Whether others than the owner may read the file.
    static func isReadableByOthers(_ path: String) -> Bool {
        var status = stat()
        return unsafe stat(path, &status) == 0 && status.st_mode & 0o077 != 0
    }

    /// Creates the directory, and those above it, with access for the owner alone where it is new.
    static func createDirectory(_ path: String) throws(LLMgineError) {
        var made = path.hasPrefix("/") ? "/" : ""
        for part in path.split(separator: "/") {
            made += made.isEmpty || made == "/" ? String(part) : "/\(part)"
            guard unsafe mkdir(made, 0o700) == 0 || errno == EEXIST else {
                throw LLMgineError(.tlsFailure, "\(made): \(Errno(rawValue: errno))")
            }
        }
    }

    /// Writes several files, or none if one of them exists and may not be replaced.
    static func write(_ files: [(path: String, text: String, access: Access)], force: Bool) throws(LLMgineError) {
        if !force {
            for file in files where unsafe access(file.path, F_OK) == 0 {
                throw LLMgineError(.invalidArgument, "\(file.path): exists already; nothing was written")
            }
        }
        for file in files { try write(file.text, to: file.path, access: file.access, force: force) }
    }

    /// A new file is born with its final mode, so a key is never readable by others, not even for a moment. Replacing goes through a
    /// second file and a rename, so that a node that starts meanwhile reads the old or the new one whole.
    private static func write(_ text: String, to path: String, access: Access, force: Bool) throws(LLMgineError) {
        let target = force ? "\(path).new" : path
        if force { _ = unsafe unlink(target) }
        let descriptor = unsafe open(target, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, access.mode)
        guard descriptor >= 0 else { throw LLMgineError(.tlsFailure, "\(target): \(Errno(rawValue: errno))") }
        defer { close(descriptor) }
        let bytes = Array(text.utf8)
        var written = 0
        while written < bytes.count {
            // The pointer stays inside the array: `written` is at most its count, and the length is what is left.
            let count = unsafe bytes.withUnsafeBytes {
                unsafe Glibc.write(descriptor, $0.baseAddress?.advanced(by: written), bytes.count - written)
            }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { throw LLMgineError(.tlsFailure, "\(target): \(Errno(rawValue: errno))") }
            written += count
        }
        guard fsync(descriptor) == 0 else { throw LLMgineError(.tlsFailure, "\(target): \(Errno(rawValue: errno))") }
        if force, unsafe rename(target, path) != 0 { throw LLMgineError(.tlsFailure, "\(path): \(Errno(rawValue: errno))") }
    }
}
