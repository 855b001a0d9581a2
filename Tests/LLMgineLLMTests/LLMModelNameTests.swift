import LLMgineCore
import LLMgineLLM
import Testing

@Suite struct `The name of a model` {
    @Test(arguments: [
        ("embedded/pirate", "embedded", "pirate", "llmgine.llm.embedded.pirate"),
        ("gpt-4.1-mini", "openai", "gpt-4.1-mini", "llmgine.llm.openai.gpt-4.1-mini"),
        ("openai/meta-llama/llama-3", "openai", "meta-llama/llama-3", "llmgine.llm.openai.meta-llama/llama-3"),
        ("x/a b*>..c.", "x", "a b*>..c.", "llmgine.llm.x.a_b__._c_"), ("v1.5/m", "v1.5", "m", "llmgine.llm.v1_5.m"),
        ("x/modèle", "x", "modèle", "llmgine.llm.x.modèle"),
    ])
    func `says who has it and where requests for it go`(text: String, provider: String, model: String, topic: String) throws {
        let name = try LLMModelName(text)
        #expect(name.provider == provider)
        #expect(name.model == model)
        #expect(name.topic.text == topic)
        #expect(LLMModelName.filter(provider: provider).matches(name.topic))
    }

    @Test(arguments: ["", "/", "x/", "/m"])
    func `is refused without a provider or a model`(text: String) {
        #expect(throws: LLMError(.modelNotFound, "")) { try LLMModelName(text) }
    }

    @Test func `becomes a topic whatever it holds`() throws {
        for hostile in [
            String(repeating: "a.", count: 300), String(repeating: "ü", count: 500), "\u{0}\n\t ", String(repeating: ".", count: 300),
        ] {
            let name = LLMModelName(provider: hostile, model: hostile)
            #expect(throws: Never.self) { try Topic(name.topic.text) }
            #expect(LLMModelName.filter(provider: hostile).matches(name.topic))
        }
    }
}
