import Glibc

/// Tells whether the files of a certificate have changed, by what the file system says of them and not by their content.
package struct CertificateStamp: Sendable, Hashable {
    private struct File: Sendable, Hashable {
        let device: UInt64
        let number: UInt64
        let size: Int64
        let seconds: Int64
        let nanoseconds: Int64
    }

    private let files: [File?]

    /// Looks at the files. One that is not there is a change, too.
    package init(of source: CertificateSource) {
        files = [source.authorityPath, source.certificatePath, source.keyPath].map { path in
            var status = stat()
            // The call writes the struct behind the pointer and nothing else.
            guard unsafe stat(path, &status) == 0 else { return nil }
            return File(
                device: UInt64(status.st_dev), number: UInt64(status.st_ino), size: Int64(status.st_size),
                seconds: Int64(status.st_mtim.tv_sec), nanoseconds: Int64(status.st_mtim.tv_nsec))
        }
    }
}
