"""One training step as Longhand takes it: forward, backward, clipping by the global norm, AdamW.

One-tensor AdamW (its foreach form is slower on the CPU); gradients are dropped after each step.
"""

import time

import torch

from gated import Flash, FlashQuad
from transformers import Combiner, MixedChunk, Performer, Transformer

ARCHITECTURES = {
    "flash": Flash,
    "flash-quad": FlashQuad,
    "transformer": Transformer,
    "transformer+": Transformer,
    "transformer++": Transformer,
    "mc-tfm++": MixedChunk,
    "performer": Performer,
    "combiner": Combiner,
}


class Trainer:
    def __init__(self, tensors, setup):
        kind = lambda name: name.split(".")[0]
        constants = {n: t for n, t in tensors.items() if kind(n) == "constants"}
        parameters = {
            n: t.requires_grad_() for n, t in tensors.items() if kind(n) not in ("tokens", "targets", "constants")
        }
        count = setup["batches"]
        self.batches = [(tensors[f"tokens.{i}"].long(), tensors[f"targets.{i}"].long()) for i in range(count)]
        model = setup["model"]
        self.model = ARCHITECTURES[model["architecture"]](parameters, constants, model, setup["context"])
        self.parameters = list(parameters.values())
        o = setup["optimizer"]
        matrices = [p for p in self.parameters if p.dim() > 1]
        others = [p for p in self.parameters if p.dim() <= 1]
        groups = [{"params": matrices, "weight_decay": o["weightDecay"]}, {"params": others, "weight_decay": 0.0}]
        options = {"lr": setup["learningRate"], "betas": (o["beta1"], o["beta2"]), "eps": o["epsilon"]}
        self.optimizer = torch.optim.AdamW(groups, foreach=False, **options)
        self.clip = o["clip"]
        self.steps = 0

    def step(self):
        started = time.perf_counter()
        loss = self.model.loss(*self.batches[self.steps % len(self.batches)])
        loss.backward()
        backward_done = time.perf_counter()
        gradients = [p.grad for p in self.parameters if p.grad is not None]
        norm = torch.stack([g.norm() for g in gradients]).norm()
        if self.clip > 0 and norm > self.clip:
            scale = self.clip / (norm + 1e-6)
            for g in gradients:
                g.mul_(scale)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        value = loss.item()
        done = time.perf_counter()
        self.steps += 1
        return {
            "milliseconds": 1e3 * (done - started),
            "phases": {"graph": 1e3 * (backward_done - started), "optimizer": 1e3 * (done - backward_done)},
            "loss": value,
        }
