import LLMgine

/// What a run came to, for people and for programs.
struct ChaosReport {
    let nodes: Int
    let seed: UInt64
    let network: String
    let ground: ChaosGround
    let troubles: ChaosTroubles
    let verdict: ChaosVerdict

    var text: String {
        let (kept, durable) = (verdict.kept, verdict.durable)
        let struck = ChaosTrouble.Kind.allCases.map { "\($0.rawValue) \(troubles.counts[$0] ?? 0)" }.joined(separator: ", ")
        return """

              network         \(network)\(ground.noNetwork.map { " (no namespaces: \($0))" } ?? "")
              full disks      \(ground.noDisk.map { "skipped: no disk of its own for the journal: \($0)" } ?? "of \(ChaosDisk.kilobytes) KiB, for the journal of \(Chaos.name(Chaos.durableNode))")
              troubles        \(struck)
              certificates    \(troubles.rotationsInEffect) rotations in effect, \(verdict.renewals) link ends renewed, \(linksLostText) link ends lost meanwhile
              at most once    \(identity)
              at least once   \(kept.identity); rejected \(kept.rejected), had again by a later life \(kept.redelivered)
              durable         \(durable.identity); rejected \(durable.rejected), had again by a later life \(durable.redelivered), refused by the journal \(verdict.refused), of these handled \(verdict.refusedButHandled)
              requests        \(verdict.requests.identity)
              links restored  \(verdict.resumes) ways, the slowest after \(resume) ms; the next trouble came first \(verdict.resumesInterrupted) times

            """
    }

    private var linksLost: [(key: String, value: Int)] { troubles.linksLostInRotations.sorted { $0.key < $1.key } }

    /// Their number, and why in brackets.
    private var linksLostText: String {
        let count = linksLost.reduce(0) { $0 + $1.value }
        return count == 0 ? "0" : "\(count) (\(linksLost.map { "\($0.key): \($0.value)" }.joined(separator: "; ")))"
    }

    /// In milliseconds.
    private var resume: Int { verdict.longestResume / 1000 }

    private var identity: String {
        """
        published and matched \(verdict.matched) = handled \(verdict.handled) + told by gap markers \(verdict.evicted) \
        + dead letters \(verdict.deadLettered) + lost with links and processes \(verdict.lostWithLinks) \
        + published while a link came or went \(verdict.unclear) \
        + lost silently \(verdict.lostSilently - verdict.kept.lostSilently - verdict.durable.lostSilently) \
        + not written down by killed processes
        """
    }

    /// One object; what must be 0 comes last.
    var json: String {
        var object = JSONObject()
        func count(_ name: String, _ number: Int) { object[name] = .integer(Int64(number)) }
        count("nodes", nodes)
        object["seed"] = Int64(exactly: seed).map { .integer($0) } ?? .string("\(seed)")
        object["network"] = .string(network)
        object["network_fallback"] = ground.noNetwork.map { .string($0) } ?? .null
        object["full_disk_skipped"] = ground.noDisk.map { .string($0) } ?? .null
        for kind in ChaosTrouble.Kind.allCases { count(kind.rawValue, troubles.counts[kind] ?? 0) }
        count("rotations_in_effect", troubles.rotationsInEffect)
        count("links_renewed", verdict.renewals)
        count("links_lost_in_rotations", linksLost.reduce(0) { $0 + $1.value })
        object["links_lost_in_rotations_why"] = .object(JSONObject(linksLost.map { ($0.key, .integer(Int64($0.value))) }))
        count("lives", verdict.lives)
        count("clean_ends", verdict.cleanEnds)
        count("links", verdict.links)
        count("published", verdict.published)
        count("matched", verdict.matched)
        count("handled", verdict.handled)
        count("gap_marked", verdict.evicted)
        count("rejected", verdict.rejected)
        count("dead_lettered", verdict.deadLettered)
        count("lost_with_links", verdict.lostWithLinks)
        count("unclear", verdict.unclear)
        for (name, account) in [("kept", verdict.kept), ("durable", verdict.durable)] {
            count("\(name)_accepted", account.accepted)
            count("\(name)_handled", account.handled)
            count("\(name)_dead_lettered", account.deadLettered)
            count("\(name)_lost_with_publisher", account.lostWithPublisher)
            count("\(name)_rejected", account.rejected)
            count("\(name)_redelivered", account.redelivered)
            count("\(name)_lost", account.lostSilently)
        }
        count("durable_refused", verdict.refused)
        count("durable_refused_but_handled", verdict.refusedButHandled)
        count("requests", verdict.requests.made)
        count("requests_answered", verdict.requests.answered)
        count("requests_cut_off", verdict.requests.cutOff)
        count("requests_failed", verdict.requests.allFailed)
        for outcome in ChaosOutcome.allCases where outcome != .answered {
            count("requests_failed_\(outcome.name)", verdict.requests.failed[outcome] ?? 0)
        }
        count("requests_failed_in_rolling_restart", verdict.requests.failedInRollingRestart)
        count("resumes", verdict.resumes)
        count("resumes_interrupted", verdict.resumesInterrupted)
        count("resume_ms", resume)
        count("complaints", verdict.complaints.count)
        count("lost_silently", verdict.lostSilently)
        count("order_violations", verdict.orderViolations)
        count("duplicates_in_window", verdict.duplicates)
        return JSONValue.object(object).text
    }
}

extension KeptAccount {
    fileprivate var identity: String {
        """
        accepted \(accepted) = handled \(handled) + dead letters \(deadLettered) + lost with a killed publisher \(lostWithPublisher) \
        + lost silently \(lostSilently)
        """
    }
}

extension RequestAccount {
    fileprivate var allFailed: Int { failed.values.reduce(0, +) }

    fileprivate var identity: String {
        let outcomes = ChaosOutcome.allCases.compactMap { outcome in failed[outcome].map { "\(outcome.name) \($0)" } }
        return """
            made \(made) = answered \(answered) + failed \(allFailed)\(outcomes.isEmpty ? "" : " (\(outcomes.joined(separator: ", ")))") \
            + cut off with killed processes \(cutOff); failed in rolling restarts \(failedInRollingRestart)
            """
    }
}
