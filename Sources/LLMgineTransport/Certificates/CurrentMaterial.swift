import Synchronization

/// The certificates that new connections are made with. They may be replaced at any time; connections that stand keep theirs.
package final class CurrentMaterial: Sendable {
    private let material: Mutex<TLSMaterial>

    package init(_ material: TLSMaterial) { self.material = Mutex(material) }

    package var current: TLSMaterial { material.withLock { $0 } }
    package func replace(with new: TLSMaterial) { material.withLock { $0 = new } }
}
