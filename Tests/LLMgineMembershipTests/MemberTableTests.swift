import LLMgineCore
import LLMgineMembership
import Testing

private func record(
    _ node: NodeID, _ incarnation: UInt64 = 1, counter: UInt64 = 1, _ state: MemberRecord.State = .up, address: String? = nil
) -> MemberRecord {
    MemberRecord(node: node, incarnation: Incarnation(incarnation), counter: counter, state: state, address: address ?? "\(node):7400")
}

@Suite struct `A member table` {
    @Test func `takes the record with the highest incarnation and counter`() {
        var table = MemberTable(own: record("a"))
        #expect(table.merge([record("b", 5, counter: 3)], at: .zero) == [.learned("b")])
        #expect(table.merge([record("b", 5, counter: 2, .leaving), record("b", 4, counter: 9)], at: .zero) == [])
        #expect(table.merge([record("b", 5, counter: 4, .leaving)], at: .zero) == [.updated("b")])
        #expect(table.merge([record("b", 6, counter: 1)], at: .zero) == [.updated("b")])
        #expect(table["b"]?.state == .up)
    }

    @Test func `agrees with another whatever the order of the records`() {
        let records = [record("b", 1), record("b", 2), record("c", 1, counter: 7), record("c", 1, counter: 8, .left), record("d")]
        var one = MemberTable(own: record("a"))
        var other = MemberTable(own: record("a"))
        _ = one.merge(records, at: .zero)
        for record in records.reversed() { _ = other.merge([record], at: .zero) }
        #expect(one.digest == other.digest)
        #expect(one.others == other.others)
    }

    @Test func `does not act on what is said of an earlier life of its own`() {
        var table = MemberTable(own: record("a", 10))
        #expect(table.merge([record("a", 9, counter: 99, .left)], at: .zero) == [])
        #expect(table.own == record("a", 10))
    }

    @Test func `refutes what is said of its own life`() {
        var table = MemberTable(own: record("a", 10, counter: 3))
        #expect(table.merge([record("a", 10, counter: 5, .left)], at: .zero) == [.refuted])
        #expect(table.own == record("a", 10, counter: 6))
        #expect(table.merge([record("a", 10, counter: 6)], at: .zero) == [])
        #expect(table.merge([record("a", 10, counter: .max, .left)], at: .zero) == [])
        #expect(table.merge([record("a", 11)], at: .zero) == [.superseded(by: Incarnation(11))])
    }

    @Test func `says once of each later life that it supersedes its own`() {
        var table = MemberTable(own: record("a", 10))
        #expect(table.merge([record("a", 11)], at: .zero) == [.superseded(by: Incarnation(11))])
        #expect(table.merge([record("a", 11), record("a", 11, counter: 2, .leaving)], at: .seconds(5)) == [])
        #expect(table.merge([record("a", 12)], at: .seconds(10)) == [.superseded(by: Incarnation(12))])
        #expect(table.own == record("a", 10))
    }

    @Test func `goes beyond a later life that has left, and is heard again by who knows of that`() {
        var table = MemberTable(own: record("a", 10, counter: 3))
        var other = MemberTable(own: record("b"))
        _ = other.merge([record("a", 12, counter: 9, .left, address: "elsewhere:1")], at: .zero)
        other.linked(record("a", 10, counter: 0), at: .zero)
        #expect(other["a"]?.state == .left)
        let tombstone = other.gossip(at: .zero)
        #expect(table.merge(tombstone, at: .zero) == [.learned("b"), .refuted])
        #expect(table.own == record("a", 13, counter: 3))
        let answer = table.gossip(at: .zero)
        #expect(other.merge(answer, at: .zero) == [.updated("a")])
        #expect(other["a"] == record("a", 13, counter: 3))
        #expect(table.digest == other.digest)
        #expect(table.merge([record("a", 12, counter: 9, .left)], at: .seconds(5)) == [])
        #expect(table.merge([record("a", .max, .left)], at: .zero) == [.superseded(by: Incarnation(.max))])
    }

    @Test func `keeps a tombstone for a day, so that an old record does not bring the node back`() {
        var table = MemberTable(own: record("a"))
        #expect(table.merge([record("b", 1, counter: 4, .left)], at: .zero) == [.left("b")])
        #expect(table.merge([record("b", 1, counter: 3)], at: .seconds(60)) == [])
        table.expire(at: .seconds(86_399))
        #expect(table["b"] != nil)
        table.expire(at: .seconds(86_400))
        #expect(table["b"] == nil)
    }

    @Test func `forgets who was out of reach for a day but nobody who is linked`() {
        var table = MemberTable(own: record("a"))
        table.linked(record("b"), at: .zero)
        table.linked(record("c"), at: .zero)
        table.unlinked("c", at: .seconds(100))
        table.expire(at: .seconds(86_499))
        #expect(table.others.map(\.node) == ["b", "c"])
        table.expire(at: .seconds(86_500))
        #expect(table.others.map(\.node) == ["b"])
    }

    @Test func `does not let a handshake overrule what the node wrote`() {
        var table = MemberTable(own: record("a"))
        _ = table.merge([record("b", 3, counter: 7, .leaving)], at: .zero)
        table.linked(record("b", 3, counter: 0), at: .zero)
        #expect(table["b"]?.state == .leaving)
        #expect(table.isLinked("b"))
        table.linked(record("b", 4, counter: 0), at: .zero)
        #expect(table["b"]?.incarnation == Incarnation(4))
    }

    @Test func `is bounded and lets go of tombstones first`() {
        var table = MemberTable(own: record("a"), limits: .init(members: 4))
        _ = table.merge([record("b"), record("c", 1, .left)], at: .zero)
        table.linked(record("d"), at: .zero)
        #expect(table.merge([record("e")], at: .seconds(1)) == [.learned("e")])
        #expect(table.others.map(\.node) == ["b", "d", "e"])
        #expect(table.merge([record("f")], at: .seconds(2)) == [.learned("f")])
        #expect(table.others.map(\.node) == ["d", "e", "f"])
        table.linked(record("e"), at: .seconds(2))
        table.linked(record("f"), at: .seconds(2))
        #expect(table.merge([record("g")], at: .seconds(3)) == [])
        #expect(table.count == 4)
    }

    @Test func `tells a long table in turns, its own record always`() {
        var table = MemberTable(own: record("a"))
        let nodes = (0..<10).map { NodeID(stringLiteral: "n\($0)") }
        _ = table.merge(nodes.map { record($0) }, at: .zero)
        var told: Set<NodeID> = []
        for _ in 0..<3 {
            let records = table.gossip(limit: 5, at: .zero)
            #expect(records.count == 5)
            #expect(records[0].node == "a")
            told.formUnion(records.map(\.node))
        }
        #expect(told.count == 11)
    }

    @Test func `tells no more of who has been out of reach for half a day`() {
        var table = MemberTable(own: record("a"))
        _ = table.merge([record("b")], at: .zero)
        #expect(table.gossip(at: .seconds(43_199)).count == 2)
        #expect(table.gossip(at: .seconds(43_200)).count == 1)
    }
}

@Suite struct `A dial schedule` {
    @Test func `doubles from 50 ms to 5 s, between half and all of it`() {
        var schedule = DialSchedule(at: .zero)
        #expect(schedule.isDue(at: .zero))
        schedule.dialled()
        #expect(!schedule.isDue(at: .seconds(100)))
        var delays: [Duration] = []
        for _ in 0..<9 {
            schedule.failed(at: .zero, random: 1)
            if let due = schedule.due { delays.append(due) }
        }
        #expect(delays == [50, 100, 200, 400, 800, 1600, 3200, 5000, 5000].map { .milliseconds($0) })
        schedule.failed(at: .zero, random: 0)
        #expect(schedule.due == .milliseconds(2500))
        schedule.connected(at: .zero)
        schedule.broke(after: .milliseconds(799), at: .zero, random: 0)
        #expect(schedule.due == .milliseconds(2500))
        schedule.broke(after: .seconds(5), at: .zero, random: 0)
        #expect(schedule.due == .milliseconds(25))
    }

    @Test func `waits 0.8 s at most for ten minutes after a link, and up to 5 s then`() {
        var schedule = DialSchedule(at: .zero)
        for _ in 0..<20 { schedule.failed(at: .zero, random: 1) }
        schedule.broke(after: .seconds(1), at: .seconds(1000), random: 1)
        #expect(schedule.due == .milliseconds(1_000_800))
        schedule.failed(at: .milliseconds(1_599_999), random: 1)
        #expect(schedule.due == .milliseconds(1_600_799))
        schedule.failed(at: .seconds(1600), random: 1)
        #expect(schedule.due == .seconds(1605))
    }

    @Test(arguments: [(1, 800), (160, 800), (200, 1000), (1000, 5000), (Int.max, 5000)])
    func `waits longer after a link when many are gone`(count: Int, milliseconds: Int) {
        var schedule = DialSchedule(at: .zero)
        schedule.broke(after: .seconds(60), at: .zero, random: 1, among: count)
        for _ in 0..<20 { schedule.failed(at: .zero, random: 1, among: count) }
        #expect(schedule.due == .milliseconds(milliseconds))
    }
}

@Suite struct `A dial book` {
    @Test func `dials each address once at a time, seeds for ever`() {
        var book = DialBook(seeds: ["s:1", "s:1", "me:1", ""], ownAddress: "me:1")
        #expect(book.due(members: [], linked: { _ in false }, at: .zero) == [.init(address: "s:1", node: nil)])
        #expect(book.due(members: [], linked: { _ in false }, at: .seconds(9)) == [])
        for round in 1...50 {
            book.failed("s:1", at: .seconds(round * 10), random: 0)
            #expect(book.due(members: [], linked: { _ in false }, at: .seconds(round * 10)) == [])
            #expect(book.due(members: [], linked: { _ in false }, at: .seconds(round * 10 + 5)).count == 1)
        }
    }

    @Test func `dials neither itself nor who is linked`() {
        var book = DialBook(seeds: ["s:1", "alias:1"], ownAddress: "me:1")
        book.reachedOurselves("alias:1")
        book.connected("s:1", to: "b", at: .zero)
        let members: [DialBook.Target] = [
            .init(address: "b:1", node: "b"), .init(address: "c:1", node: "c"), .init(address: "", node: "d"),
        ]
        #expect(book.due(members: members, linked: { $0 == "b" }, at: .zero) == [.init(address: "c:1", node: "c")])
        book.failed("s:1", at: .zero, random: 0)
        #expect(book.nextDue(members: [], linked: { _ in false }, at: .zero) == .milliseconds(25))
        #expect(book.due(members: [], linked: { _ in false }, at: .seconds(1)) == [.init(address: "s:1", node: nil)])
    }

    @Test func `dials who was linked lately more often than a seed that never answered, unless many are gone`() {
        func longest(_ gone: Int) -> (member: Duration?, seed: Duration?) {
            var book = DialBook(seeds: ["s:1"], ownAddress: "me:1")
            let members = (0..<gone).map { DialBook.Target(address: "m:\($0)", node: nil) }
            _ = book.due(members: members, linked: { _ in false }, at: .zero)
            book.broke("m:0", after: .seconds(60), at: .zero, random: 1)
            for _ in 0..<20 {
                book.failed("m:0", at: .zero, random: 1)
                book.failed("s:1", at: .zero, random: 1)
            }
            let seed = book.nextDue(members: [], linked: { _ in false }, at: .zero)
            // Those whose dial is under way have no due time.
            return (book.nextDue(members: members, linked: { _ in false }, at: .zero), seed)
        }
        let (one, many) = (longest(1), longest(599))
        #expect(one.member == .milliseconds(800))
        #expect(one.seed == .seconds(5))
        #expect(many.member == .seconds(3), "599 members and a seed")
        #expect(many.seed == .seconds(5))
    }

    @Test func `tries one seed after the other for a leaf`() {
        var book = DialBook(seeds: ["s:1", "t:1"], ownAddress: "")
        let linked = { (_: NodeID) in false }
        #expect(book.due(members: [], linked: linked, oneAtATime: true, at: .zero) == [.init(address: "s:1", node: nil)])
        #expect(book.due(members: [], linked: linked, oneAtATime: true, at: .seconds(1)) == [])
        book.failed("s:1", at: .seconds(1), random: 1)
        #expect(book.due(members: [], linked: linked, oneAtATime: true, at: .seconds(1)) == [.init(address: "t:1", node: nil)])
        book.failed("t:1", at: .seconds(2), random: 1)
        #expect(book.due(members: [], linked: linked, oneAtATime: true, at: .seconds(2)) == [.init(address: "s:1", node: nil)])
    }
}
