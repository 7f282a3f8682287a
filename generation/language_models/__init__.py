"""The language models that Ragstone can answer with: one module per mechanism, each filling `LanguageModel`.

llama_cpp          the embedded engine: exact token ids, control tokens in data stay data
openai_compatible  any server with the OpenAI chat completions API
llama_index        any llama-index LLM, by its class
scripted           the in-tree fake, for tests

server_sent_events and opaque_prompt hold what two of them share: reading event streams, and prompts for servers that
keep their tokenizer to themselves.
"""
