import Foundation
import LLMgine
import LLMgineTestKit
import SystemPackage

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

/// What the system permits: a network of its own for each node, and a small disk for a journal.
///
/// Both hang on namespaces that only processes of this run are in. The system takes them down with the last of these processes, however it ends, so
/// there is nothing to clear away, not even after SIGKILL.
struct ChaosGround: Codable, Equatable {
    /// Why nodes have no network of their own; nil if they have.
    var noNetwork: String?
    /// Why the journal has no disk of its own; nil if it has.
    var noDisk: String?

    /// In place of rights: root without, or as root of a user namespace.
    private static let ways: [[String]] = [[], ["--user", "--map-root-user"]]

    /// As the network does it: two ends of a cable, one on a bridge, and a namespace that is entered from outside.
    private static let networkProbe = """
        set -e
        PATH=$PATH:/usr/sbin:/sbin
        ip link add hub type bridge forward_delay 0
        ip link set hub up
        ip link add n0 type veth peer name eth0
        ip link set n0 master hub
        unshare --net nsenter --net=/proc/self/ns/net ip link set lo up
        """
    private static let diskProbe = "mount -t tmpfs -o size=64k tmpfs /mnt"

    /// Tries what is permitted, and goes on in namespaces if something is: the process begins anew then, with the same number, and the answer among
    /// its arguments. Returns at once if there is nothing to enter.
    static func find(_ choice: ChaosNetworkChoice) async throws -> ChaosGround {
        var best = ChaosGround(noNetwork: nil, noDisk: nil)
        var way: [String]?
        for candidate in ways {
            let noNetwork =
                choice == .loopback ? "not asked for" : await refusal(candidate + ["--net"], networkProbe, needs: "ip", "nsenter")
            let noDisk = await refusal(candidate + ["--mount"], diskProbe, needs: "mount", "umount")
            let ground = ChaosGround(noNetwork: noNetwork, noDisk: noDisk)
            let isFirst = candidate == ways[0]
            if isFirst || ground.rank > best.rank { best = ground }
            if ground.rank > 0, ground == best { way = candidate }
            if ground.rank == (choice == .loopback ? 1 : 3) { break }
        }
        if choice == .namespaces, let reason = best.noNetwork {
            throw LLMgineError(.invalidArgument, "network namespaces are not permitted here: \(reason)")
        }
        guard let way else { return best }
        try best.enter(way)
    }

    /// How much is permitted; the network counts for more.
    private var rank: Int { (noNetwork == nil ? 2 : 0) + (noDisk == nil ? 1 : 0) }

    /// Why a script cannot be run in namespaces; nil if it can.
    private static func refusal(_ namespaces: [String], _ script: String, needs tools: String...) async -> String? {
        do {
            for tool in tools { _ = try SystemTool(tool) }
            try await SystemTool("unshare").run(namespaces + ["/bin/sh", "-c", script])
            return nil
        } catch {
            return (error as? LLMgineError)?.detail ?? "\(error)"
        }
    }

    /// Takes the place of this process by the same program in its namespaces.
    private func enter(_ way: [String]) throws -> Never {
        let json = String(decoding: try JSONEncoder().encode(self), as: UTF8.self)
        let unshare = try SystemTool("unshare").path
        let own = Cast.Program.demo([]).executable
        let namespaces = (noNetwork == nil ? ["--net"] : []) + (noDisk == nil ? ["--mount"] : [])
        let arguments = [unshare] + way + namespaces + [own] + CommandLine.arguments.dropFirst() + ["--ground", json]
        // What comes after us must not find the signals blocked that threads of the pool do not take.
        var none = sigset_t()
        // Each call works on memory that lives until it returns; the list ends with nil as it is wanted.
        unsafe sigemptyset(&none)
        unsafe pthread_sigmask(SIG_SETMASK, &none, nil)
        var argv = unsafe arguments.map { unsafe strdup($0) } + [nil]
        unsafe execv(unshare, &argv)
        throw LLMgineError(.invalidArgument, "\(unshare) cannot be started: \(Errno(rawValue: errno))")
    }
}
