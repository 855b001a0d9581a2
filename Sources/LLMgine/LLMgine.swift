// One import for an application: what it publishes, subscribes to, asks for and configures.
@_exported public import LLMgineBus
@_exported public import LLMgineCore
@_exported public import LLMgineJournal
@_exported public import LLMgineLLM
@_exported public import LLMgineNode
@_exported public import LLMgineObservability
@_exported public import LLMgineProviders
@_exported public import LLMgineResilience
@_exported public import LLMgineStore
@_exported public import LLMgineTransport
@_exported public import LLMgineWorkers
