import LLMgineCore
import LLMgineNode
import Testing

@Suite struct `A topic permission` {
    @Test(arguments: [
        "node shop may publish orders.> except orders.secret.>", "role worker may subscribe llmgine.llm.> tasks.*",
        "everyone may publish nothing", "node a.1 may subscribe > except a b.*",
    ])
    func `reads as it is written`(text: String) throws {
        #expect("\(try TopicPermission(text))" == text)
    }

    @Test func `takes any white space between its words`() throws {
        #expect(
            try TopicPermission("  node  shop may\tpublish a  except b ")
                == TopicPermission(.node("shop"), may: .publish, ["a"], except: ["b"]))
    }

    @Test(arguments: [
        ("", "begins with node, role or everyone"), ("nodes a may publish b", "begins with node, role or everyone"),
        ("node may publish a", "\"may publish\" or \"may subscribe\""), ("node . may publish a", "the name of a node"),
        ("role", "the name of a role"), ("node a can publish b", "\"may publish\" or \"may subscribe\""),
        ("node a may read b", "\"may publish\" or \"may subscribe\""), ("node a may publish", "topic filters come next"),
        ("node a may publish except b", "topic filters come next"), ("node a may publish b except", "topic filters come after"),
        ("  ", "begins with node, role or everyone"),
        ("node a may publish b..c", "has an empty token"), ("node a may publish b except c.>.d", "has '>' before its last token"),
    ])
    func `is refused with what is wrong with it`(text: String, reason: String) {
        let error = #expect(throws: LLMgineError(.invalidConfiguration, "")) { try TopicPermission(text) }
        #expect(error?.detail.contains(reason) == true, "\(error?.detail ?? "")")
    }

    @Test(arguments: [
        ("node cli may publish orders.> execpt orders.secret.>", "\"orders.secret.>\" is already in \"orders.>\": is \"except\" meant?"),
        ("node a may publish secret.x * all", "\"all\" is already in \"*\": is \"except\" meant?"),
        ("node a may publish b b", "\"b\" is already in \"b\": is \"except\" meant?"),
        ("node a may publish b.x b.>", "\"b.x\" is already in \"b.>\": is \"except\" meant?"),
    ])
    func `is refused if it allows twice what may have been an exception`(text: String, reason: String) {
        let error = #expect(throws: LLMgineError(.invalidConfiguration, "")) { try TopicPermission(text) }
        #expect(error?.detail == "\"\(text)\": \(reason)")
    }

    @Test(arguments: [
        ("node a may publish orders.> Except orders.secret.>", "Except"), ("node a may publish nothing orders.>", "nothing"),
        ("node a may publish orders.> nothing", "nothing"), ("node a may publish Nothing", "Nothing"),
        ("node a may publish orders.> and subscribe foo.>", "and"), ("node a may publish a SUBSCRIBE b", "SUBSCRIBE"),
        ("node a may publish may publish b", "may"), ("node a may publish a except b except c", "except"),
        ("node a may publish a except nothing", "nothing"),
    ])
    func `is refused if a word of it stands where a filter goes`(text: String, word: String) {
        let error = #expect(throws: LLMgineError(.invalidConfiguration, "")) { try TopicPermission(text) }
        #expect(
            error?.detail
                == "\"\(text)\": \"\(word)\" is no topic filter: it is a word of these sentences, in small letters and in its own place")
    }

    @Test func `may have filters that overlap, and words of it inside a topic`() throws {
        #expect(
            try TopicPermission("node a may publish a.* *.b tasks.except except a.b a.>")
                == TopicPermission(.node("a"), may: .publish, ["a.*", "*.b", "tasks.except"], except: ["a.b", "a.>"]))
    }
}

@Suite struct `A table of permissions` {
    private func table(_ rules: String...) throws -> PermissionTable { PermissionTable(try rules.map { try TopicPermission($0) }) }

    @Test func `leaves alone whom no rule is about`() throws {
        let table = try table("node a may publish x", "role worker may publish y")
        #expect(table.grant(for: "b", roles: ["counter"]) == nil)
        #expect(try self.table().grant(for: "a", roles: []) == nil)
    }

    @Test func `denies what is not allowed, of both actions, once a rule is about a node`() throws {
        let grant = try #require(try table("node a may publish orders.*").grant(for: "a", roles: []))
        #expect(grant.publish.permits("orders.x"))
        #expect(!grant.publish.permits("orders.x.y"))
        #expect(!grant.subscribe.permits("orders.x"))
        #expect(grant.subscribe.refusal(of: "orders.x") == "no rule allows it")
    }

    @Test func `adds up what name, roles and everyone are allowed, and lets every exception win`() throws {
        let table = try table(
            "node a may publish a.>", "role r may publish r.> except a.secret.>", "everyone may publish all except r.*.x")
        let grant = try #require(table.grant(for: "a", roles: ["r", "s"]))
        for topic in ["a.1", "r.1.y", "all"] as [Topic] { #expect(grant.publish.permits(topic)) }
        for topic in ["a.secret.1", "r.1.x", "s.1"] as [Topic] { #expect(!grant.publish.permits(topic)) }
        #expect(grant.publish.refusal(of: "r.1.x") == "the rule \"everyone may publish all except r.*.x\" excepts r.*.x")
        #expect(grant.publish.refusal(of: "a.1") == nil)
        #expect(try #require(table.grant(for: "a", roles: [])).publish.permits("a.secret.1"))
    }

    @Test(arguments: [
        ("orders.>", true), ("orders.secret.x", false), ("orders.secret.>", false), (">", true), ("orders.*.x", true), ("other.>", false),
        ("*", false), ("tasks.1", false), ("tasks.*", false),
    ])
    func `serves a filter if something that it matches is allowed`(filter: String, isServed: Bool) throws {
        let table = try table("node a may subscribe orders.> tasks.1 except orders.secret.> tasks.*")
        #expect(try #require(table.grant(for: "a", roles: [])).subscribe.permits(someOf: try TopicFilter(filter)) == isServed)
    }

    @Test func `remarks on an action that was forgotten`() throws {
        #expect(
            try table("node a may publish x", "role r may subscribe y", "role r may publish nothing").remarks
                == ["permissions: no rule lets node a subscribe anything, so it may not"])
        #expect(
            try table("node a may publish x", "everyone may subscribe >").remarks == [
                "permissions: no rule lets everyone publish anything, so it may not"
            ])
    }
}
