"""Question and passages in, answer out: prompt, language models, citations, admission."""
