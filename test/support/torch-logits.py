"""Of each export folder: the logits that its longhand_model.py gives for every row of tokens.json, as logits-N.bin, float32."""

import array
import importlib.util
import json
import os
import sys

import torch

torch.set_num_threads(1)
for folder in sys.argv[1:]:
    spec = importlib.util.spec_from_file_location("longhand_model", os.path.join(folder, "longhand_model.py"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    model = module.load()
    with open(os.path.join(folder, "tokens.json"), encoding="utf-8") as file:
        texts = json.load(file)
    for i, tokens in enumerate(texts):
        with torch.no_grad():
            logits = model(torch.tensor(tokens))
        with open(os.path.join(folder, f"logits-{i}.bin"), "wb") as out:
            array.array("f", logits.flatten().tolist()).tofile(out)
