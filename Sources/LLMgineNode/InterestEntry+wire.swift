package import LLMgineMembership
package import LLMgineRouting
package import LLMgineWire

// The wire's words for interest and members, and the machines': two vocabularies, so that neither module needs the other.

extension InterestUpdate {
    package init(_ frame: InterestFrame) {
        self.init(
            snapshot: frame.kind == .snapshot, from: frame.fromVersion, to: frame.toVersion, adds: frame.adds.map(InterestEntry.init),
            removes: frame.removes)
    }

    package var frame: InterestFrame {
        InterestFrame(kind: snapshot ? .snapshot : .delta, fromVersion: from, toVersion: to, adds: adds.map(\.wire), removes: removes)
    }
}

extension InterestEntry {
    package init(_ entry: InterestFrame.Entry) {
        self.init(
            flow: entry.flow, kind: entry.kind == .events ? .events : .responder, filters: entry.filters, group: entry.group,
            whenFull: entry.whenFull,
            windowMessages: entry.windowMessages, windowBytes: entry.windowBytes, reliable: entry.reliable)
    }

    package var wire: InterestFrame.Entry {
        InterestFrame.Entry(
            flow: flow, kind: kind == .events ? .events : .responder, filters: filters, group: group, whenFull: whenFull,
            windowMessages: windowMessages,
            windowBytes: windowBytes, reliable: reliable)
    }
}

extension MemberRecord {
    package init(_ member: GossipFrame.Member) {
        let state: State =
            switch member.state {
            case .joining: .joining
            case .up: .up
            case .leaving: .leaving
            case .left: .left
            }
        self.init(
            node: member.node, incarnation: member.incarnation, counter: member.counter, state: state, address: member.address,
            zone: member.zone,
            roles: member.roles, protocolMin: UInt64(member.protocols.lowerBound), protocolMax: UInt64(member.protocols.upperBound))
    }

    package var wire: GossipFrame.Member {
        let state: GossipFrame.State =
            switch self.state {
            case .joining: .joining
            case .up: .up
            case .leaving: .leaving
            case .left: .left
            }
        let lowest = UInt32(clamping: protocolMin)
        return GossipFrame.Member(
            node: node, incarnation: incarnation, counter: counter, state: state, address: address, zone: zone, roles: roles,
            protocols: lowest...max(lowest, UInt32(clamping: protocolMax)))
    }
}
