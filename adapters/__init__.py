"""Examples in, adapters out: collect, screen, train (SFT, DPO, GRPO, CPT), registry.

Empty until the trainer is built; the API answers 501 for its calls until then.
"""
