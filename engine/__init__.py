"""The engine: investigations by served models, recorded turn by turn.

It knows nothing of GPUs, of vLLM or of any particular phase. `engine.run` and `engine.cli` are the
exception: they join engine, servers and phases into a program.
"""
