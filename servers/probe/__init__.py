"""The probe: a process with a torch copy of a model's weights, asked about activations and more.

It holds its weights in RAM and sees no GPU, so that it takes nothing that a server was promised.
"""
