import Foundation
import LLMgine
import Testing

/// What `llmgine node --check` and the start refuse alike.
@Suite struct `The verification of settings` {
    /// What is wrong with settings that lead to no certificates: all that is checked before those.
    private func refusal(
        environment: [String: String] = [:], hasOwnProviders: Bool = false, _ change: (inout NodeSettings) -> Void
    ) -> String {
        var settings = NodeSettings()
        settings.certificates.directory = "/nowhere/certs"
        change(&settings)
        do throws(LLMgineError) {
            let verified = try settings.verify(environment: environment, hasOwnProviders: hasOwnProviders)
            return "no error, but \(verified)"
        } catch {
            return "\(error.code): \(error.detail)"
        }
    }

    @Test func `refuses a directory for events that is not there or cannot be written`() {
        #expect(
            refusal { $0.limits.spillDirectory = "/nope/z" }
                == "invalidConfiguration: limits.spillDirectory: cannot make a file in /nope/z: No such file or directory")
        #expect(
            refusal { $0.limits.spillDirectory = "/dev/null" }
                == "invalidConfiguration: limits.spillDirectory: cannot make a file in /dev/null: Not a directory")
        #expect(refusal { $0.limits.spillDirectory = NSTemporaryDirectory() }.hasPrefix("tlsFailure: /nowhere/certs/"))
        #expect(refusal { _ in }.hasPrefix("tlsFailure: /nowhere/certs/"))
    }

    @Test func `refuses a provider that lacks its key`() {
        let worker = { (settings: inout NodeSettings) in
            settings.node.roles = ["worker"]
            settings.worker.providers = ["openai"]
        }
        #expect(
            refusal(worker)
                == "invalidConfiguration: worker.providers: openai needs OPENAI_API_KEY or OPENAI_BASE_URL in the environment")
        #expect(refusal(environment: ["OPENAI_API_KEY": "k"], worker).hasPrefix("tlsFailure"))
        #expect(refusal(hasOwnProviders: true, worker).hasPrefix("tlsFailure"))
        #expect(refusal { $0.worker.providers = ["openai"] }.hasPrefix("tlsFailure"))
    }

    @Test func `refuses a store and a journal where none can be`() throws {
        let missing = "invalidConfiguration: store.path: the directory /nope/ does not exist"
        #expect(refusal { $0.store.path = "/nope/a.db" } == missing)
        #expect(refusal { $0.journal.path = "/nope/z//" } == missing.replacing("store", with: "journal"))
        #expect(refusal { $0.store.path = "/dev/null/a.db" }.hasSuffix("the directory /dev/null/ does not exist"))
        #expect(refusal { $0.store.path = "/tmp" } == "invalidConfiguration: store.path: /tmp is a directory, expected a file")
        #expect(
            refusal { $0.journal.path = "/dev/null" } == "invalidConfiguration: journal.path: /dev/null is a file, expected a directory")
        for path in ["a.db", "/a.db", "/tmp/llmgine-not-there"] {
            #expect(refusal { ($0.store.path, $0.journal.path) = (path, path) }.hasPrefix("tlsFailure"), "\(path)")
        }
        #expect(refusal { $0.journal.path = "/tmp/" }.hasPrefix("tlsFailure"))
    }

    @Test func `refuses an address for telemetry that is none`() {
        #expect(refusal { $0.telemetry.endpoint = "http://" }.hasPrefix("invalidConfiguration: telemetry.endpoint: is \"http://\""))
        #expect(refusal { $0.telemetry.endpoint = "http://here:4318" }.hasPrefix("tlsFailure"))
    }
}
