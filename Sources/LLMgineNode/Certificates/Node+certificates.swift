import LLMgineBroker
public import LLMgineCore
package import LLMgineLink
import LLMgineObservability
package import LLMgineTransport
import LLMgineWire
import Logging
import NIOCore
import NIOPosix
import Synchronization

import struct FoundationEssentials.Date

/// What a node knows of its certificate files.
struct CertificateWatch {
    /// As they were when they were last loaded, or found to be of no use.
    var settled: CertificateStamp
    /// As they were at the last look: files that are being written are left alone until they rest.
    var seen: CertificateStamp
    /// The least days left of which the log has warned.
    var warned = Int.max

    /// Days left at which the log says so.
    static let warnings = [30, 7, 1]

    init(_ stamp: CertificateStamp) {
        settled = stamp
        seen = stamp
    }

    /// Whether the files have changed and rest now.
    mutating func looked(_ stamp: CertificateStamp) -> Bool {
        defer { seen = stamp }
        guard stamp != settled, stamp == seen else { return false }
        settled = stamp
        return true
    }

    /// The threshold that has just been passed, if one has.
    mutating func passed(daysLeft: Int) -> Int? {
        guard let threshold = CertificateWatch.warnings.last(where: { daysLeft < $0 }), threshold < warned else { return nil }
        warned = threshold
        return threshold
    }
}

extension Node {
    /// Loads the certificate files anew, as it is done by itself a few seconds after they have changed. New connections use them at once, and
    /// links that stand change over one after another, without losing or reordering what is under way. If they carry other roles, this node is
    /// held to the rules for these from now on, and its links end instead and are made anew.
    /// - Throws: `tlsFailure` or `identityRefused`, naming the file; the old certificates stay in use then.
    public func reloadCertificates() throws(LLMgineError) {
        // One after another, so that certificates and rules are those of the same files.
        try reloading.withLock { _ throws(LLMgineError) in try reload() }
    }

    private func reload() throws(LLMgineError) {
        let material = try TLSMaterial(loading: configuration.certificates)
        guard material.identity.node == configuration.name, material.identity.cluster == configuration.cluster else {
            throw LLMgineError(
                .identityRefused,
                "the new certificate is for \(material.identity), this is llmgine://\(configuration.cluster)/\(configuration.name)"
            )
        }
        guard let certificates = state.withLock({ $0.endpoint?.certificates }) else { return }
        let hasOtherRoles = Set(certificates.current.roles) != Set(material.roles)
        // Before a link can be made with the new ones: what this node may hear over it is settled when it is made.
        certified(material.roles)
        certificates.replace(with: material)
        state.withLock { $0.certificates?.warned = .max }
        logger.notice(
            "new certificates are in use", metadata: ["expires": "\(material.expires.formatted(.iso8601))", "serial": "\(material.serial)"])
        for remark in material.remarks { logger.warning("certificate", metadata: ["remark": "\(remark)"]) }
        if hasOtherRoles { endLinks(before: material.serial) } else { renewLinks() }
    }

    /// Ends the links that go by roles of earlier certificates, at both ends. They are dialled again with the new ones.
    private func endLinks(before serial: UInt64) {
        guard !isStopped.load(ordering: .relaxed) else { return }
        let links = state.withLock { Array($0.links.values) + Array($0.candidates.values) }
        for link in links where link.connection.material < serial { link.connection.close(.rolesChanged) }
    }

    /// Looks at the files now and again every few seconds.
    func watchCertificates() {
        let stamp = CertificateStamp(of: configuration.certificates)
        state.withLock { $0.certificates = CertificateWatch(stamp) }
        observability.metrics.observe(.certificateExpiry) { [weak self] in
            self?.state.withLock { $0.endpoint?.certificates }?.current.expires.timeIntervalSinceNow ?? 0
        }
        checkCertificatesLater()
    }

    private func checkCertificatesLater() {
        guard !isStopped.load(ordering: .relaxed) else { return }
        control.scheduleTask(in: TimeAmount(configuration.certificateCheck)) { [weak self] in
            guard let self, !isStopped.load(ordering: .relaxed) else { return }
            // Not on an event loop: the files may lie on a disk that hangs.
            NIOThreadPool.singleton.submit { [weak self] state in
                guard let self, case .active = state else { return }
                checkCertificates()
                checkCertificatesLater()
            }
        }
    }

    private func checkCertificates() {
        let stamp = CertificateStamp(of: configuration.certificates)
        if state.withLock({ $0.certificates?.looked(stamp) ?? false }) {
            do throws(LLMgineError) { try reloadCertificates() } catch {
                logger.error("the new certificate files cannot be used; the old ones stay", metadata: ["error": "\(error.detail)"])
            }
        }
        warnOfExpiry()
        renewLinks()
    }

    private func warnOfExpiry() {
        guard let material = state.withLock({ $0.endpoint?.certificates })?.current else { return }
        let expires = material.expires
        let days = Int((expires.timeIntervalSinceNow / 86_400).rounded(.down))
        guard let threshold = state.withLock({ $0.certificates?.passed(daysLeft: days) }) else { return }
        logger.log(
            level: threshold <= 1 ? .error : .warning,
            material.endsWithAuthority ? "the authority of this node's certificate expires soon" : "this node's certificate expires soon",
            metadata: ["days": "\(days)", "expires": "\(expires.formatted(.iso8601))"])
    }

    /// Has the next link that was made with older certificates changed over: one at a time, so that the cluster never reconnects as a whole.
    func renewLinks() {
        guard let endpoint = state.withLock({ $0.endpoint }) else { return }
        let serial = endpoint.certificates.current.serial
        let links = state.withLock { Array($0.links.values) }.filter { $0.connection.material < serial && $0.canMove }
        for link in links where link.connection.role == .acceptor && link.isFirstRenewal(for: serial) {
            link.connection.send(.renew(RenewFrame()))
        }
        let now = elapsed
        let own = links.filter { $0.connection.role == .dialer }
        // The one that was tried longest ago, so that one that cannot be renewed does not stand before the others.
        guard !own.contains(where: { $0.isRenewing(at: now) }), let next = own.min(by: { $0.lastRenewal < $1.lastRenewal }) else { return }
        renew(next)
    }

    /// The peer asks for it, having new certificates.
    func renewalWanted(by link: PeerLink) {
        if link.connection.role == .dialer, link.canMove { renew(link) }
    }

    private func renew(_ link: PeerLink) {
        guard link.beginRenewal(at: elapsed), let endpoint = state.withLock({ $0.endpoint }) else { return }
        do throws(LLMgineError) {
            try endpoint.renew(link.connection).whenFailure { [logger] error in
                logger.warning("a link could not be renewed yet", metadata: ["peer": "\(link.peer)", "error": "\(error)"])
            }
        } catch {
            logger.warning("a link cannot be renewed", metadata: ["peer": "\(link.peer)", "error": "\(error.detail)"])
        }
    }

    package func link(continuedBy session: LinkSession) -> LinkConnection? {
        state.withLock { state in
            state.links.values.first {
                $0.connection.role == .acceptor && $0.peer == session.peer.node && $0.hello.incarnation == session.peer.incarnation
                    && $0.hello.kind == session.peer.kind
            }?.connection
        }
    }

    package func connectionRefused(from address: String, _ refusal: AcceptGate.Refusal) {
        observability.metrics.counter(.connectionsRefused, labels: [.init("reason", refusal.rawValue)]).increment()
        let now = elapsed
        let isDue = state.withLock { state in
            guard now - state.saidRefused >= .seconds(10) else { return false }
            state.saidRefused = now
            return true
        }
        if isDue {
            logger.warning("connections are turned away", metadata: ["from": "\(address)", "reason": "\(refusal.rawValue)"])
        }
    }

    package func linkMoved(_ connection: LinkConnection) {
        guard let link = link(LinkID(connection.id)) else { return }
        link.endRenewal()
        logger.info("link renewed", metadata: ["peer": "\(link.peer)", "role": "\(connection.role)"])
        renewLinks()
    }
}
