"""Runs where torch is: what transformers itself says about a text, written as one .npz file.

python direct.py CHECKPOINT TEXT OUT
"""

import sys

import numpy as np
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

directory, text, out = sys.argv[1:]
tokenizer = AutoTokenizer.from_pretrained(directory)
model = AutoModelForCausalLM.from_pretrained(
    directory, dtype=torch.float32, attn_implementation="eager"
)
model.requires_grad_(requires_grad=False)
ids = tokenizer(text, return_tensors="pt")["input_ids"]
embedded = model.get_input_embeddings()(ids).requires_grad_()
ran = model(inputs_embeds=embedded, output_attentions=True, output_hidden_states=True)
logs = torch.log_softmax(ran.logits[0, -1], dim=-1)
states = ran.hidden_states
logs.max().backward(inputs=[embedded, *states[1:-1]])
written = model.generate(ids, max_new_tokens=6, do_sample=False)[0, ids.shape[1] :]
found = {
    "embedded": embedded,
    "gradient": embedded.grad,
    "logits": ran.logits,
    "normed": states[-1],
    "probability": logs.max().exp(),
    "target": logs.argmax(),
    "written": written,
}
# The last hidden state has passed the final norm already, so it is no layer's output.
found |= {f"layer{n}": state for n, state in enumerate(states[1:-1])}
found |= {f"by_layer{n}": state.grad for n, state in enumerate(states[1:-1])}
found |= {f"attention{n}": each for n, each in enumerate(ran.attentions)}
np.savez(out, **{name: each.detach().squeeze(0).numpy() for name, each in found.items()})
