"""Runs where transformers is: the parameters of small models of several families, as JSON.

python described.py < {"qwen2": {...}, ...}: model type -> configuration.
"""

import json
import sys

import torch
from transformers import AutoConfig, AutoModelForCausalLM

found = {}
for name, config in json.load(sys.stdin).items():
    with torch.device("meta"):
        given = {key: value for key, value in config.items() if key != "model_type"}
        model = AutoModelForCausalLM.from_config(
            AutoConfig.for_model(config["model_type"], **given)
        )
    found[name] = {key: list(value.shape) for key, value in model.named_parameters()}
json.dump(found, sys.stdout)
