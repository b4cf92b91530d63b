"""The benchmark's opponent: the same FLASH language model and the same training step, written directly in PyTorch.

A worker: reads one JSON command a line on stdin ({"do": "step" | "memory" | "exit"}), answers one JSON line each.
Started as `python3 flash_lm.py FILE`, FILE being safetensors with the parameters, batches ("tokens.0", "targets.0", …)
and, in its metadata, the model and optimiser. Runs on Debian's python3-torch (1.13), CPU, float32. Chosen by timing on
that version: one product for u, v and z, scores from baddbmm with bias and mask as its start, whole logits, one-tensor
AdamW (its foreach form is slower on the CPU), gradients dropped after each step.
"""

import json
import os
import struct
import sys
import time

import torch
import torch.nn.functional as F

DTYPES = {"F32": torch.float32, "I32": torch.int32}
EPS = 1e-5


def read_safetensors(path):
    """Tensors by name and the metadata: an 8-byte header length, a JSON header, then the tensors end to end."""
    with open(path, "rb") as file:
        (length,) = struct.unpack("<Q", file.read(8))
        header = json.loads(file.read(length))
        data = bytearray(file.read())
    metadata = header.pop("__metadata__", {})
    tensors = {}
    for name, entry in header.items():
        begin, end = entry["data_offsets"]
        dtype = DTYPES[entry["dtype"]]
        flat = torch.frombuffer(data, dtype=dtype, count=(end - begin) // 4, offset=begin)
        tensors[name] = flat.reshape(entry["shape"]).clone()
    return tensors, metadata


def scale_norm(x, gain):
    return x * (torch.rsqrt(x.square().mean(-1, keepdim=True) + EPS) * gain)


def affine(x, weight, bias):
    """x @ weight + bias; faster than addmm, which first copies the bias to every row."""
    return torch.mm(x, weight).add_(bias)


def angles(count, half):
    """Cosines and sines of position * 10000^(-i / half): [count, half] each."""
    angle = torch.arange(count, dtype=torch.float64)[:, None] * 10000.0 ** (-torch.arange(half, dtype=torch.float64) / half)
    return angle.cos().float(), angle.sin().float()


def rope(x, cos, sin):
    a, b = x.chunk(2, -1)
    return torch.cat([a * cos - b * sin, b * cos + a * sin], -1)


class Flash:
    """B batch, T tokens (a multiple of C), d width, e gated width, s shared width, C chunk, G chunks, V vocabulary."""

    def __init__(self, parameters, model, context):
        self.p = parameters
        self.layers, self.chunk, self.s = model["layers"], model["chunk"], model["shared"]
        width = model["width"]
        self.e = width * model["expansion"]
        cos, sin = angles(context, width // 2)
        self.positions = torch.cat([sin, cos], -1)  # [T, d]
        self.cos, self.sin = angles(context, self.s // 2)
        i = torch.arange(self.chunk)
        self.distances = i[None, :] - i[:, None] + self.chunk - 1  # [C, C], into the Toeplitz bias
        self.bias_angles = angles(self.chunk, self.s // 2)
        self.scales = torch.tensor([1 / self.chunk, 1.0, 1 / self.chunk, 1.0])[:, None, None]  # of the scores and sums
        self.future = torch.full((self.chunk, self.chunk), -1e30).triu(1)

    def bias(self, name):
        """[C, C]: the relative position bias, with -1e30 where a token would see the future."""
        if f"{name}.weight" in self.p:
            return self.p[f"{name}.weight"][self.distances] + self.future
        a, b = [rope(self.p[f"{name}.{v}"].expand(self.chunk, -1), *self.bias_angles) for v in "ab"]
        return a @ b.T + self.future

    def layer(self, name, x):
        p = lambda key: self.p[f"{name}.{key}"]
        B, T, d = x.shape
        C, s, e = self.chunk, self.s, self.e
        G = T // C
        normal = scale_norm(x, p("norm.gain")).view(B * T, d)
        hidden = F.silu(affine(normal, p("hidden.weight"), p("hidden.bias")))  # [B T, 2e + s]
        u, v, z = hidden.split([e, e, s], -1)
        v = v.view(B * G, C, e)
        gamma, beta = [p(f"heads.{g}")[:, None] * self.scales for g in ("gamma", "beta")]  # [4, 1, s]
        heads = torch.addcmul(beta, z, gamma).view(4, B, T, s)
        qq, qk, lq, lk = rope(heads, self.cos, self.sin).view(4, B * G, C, s).unbind(0)

        bias = self.bias(f"{name}.bias").expand(B * G, C, C)
        positive = F.relu(torch.baddbmm(bias, qq, qk.transpose(1, 2)))
        mixed = torch.bmm(positive * positive, v)  # [B G, C, e]
        if G > 1:
            kv = torch.bmm(lk.transpose(1, 2), v).view(B, G, s, e)
            before = F.pad(kv[:, :-1].cumsum(1), (0, 0, 0, 0, 1, 0)).view(B * G, s, e)
            mixed = torch.bmm(lq, before).add_(mixed)
        gated = u * mixed.view(B * T, e)
        return affine(gated, p("out.weight"), p("out.bias")).view(B, T, d).add_(x)

    def loss(self, tokens, targets):
        table = self.p["embedding.weight"]
        x = F.embedding(tokens, table) + self.positions * self.p["position.scale"]
        for i in range(self.layers):
            x = self.layer(f"layers.{i}", x)
        x = scale_norm(x, self.p["final.norm.gain"]).flatten(0, 1)
        logits = affine(x, table.T, self.p["logits.bias"])
        return F.cross_entropy(logits, targets.flatten())


class Trainer:
    def __init__(self, tensors, setup):
        parameters = {n: t.requires_grad_() for n, t in tensors.items() if not n.startswith(("tokens.", "targets."))}
        count = setup["batches"]
        self.batches = [(tensors[f"tokens.{i}"].long(), tensors[f"targets.{i}"].long()) for i in range(count)]
        self.model = Flash(parameters, setup["model"], setup["context"])
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
        gradients = [p.grad for p in self.parameters]
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


def peak_bytes():
    """The kernel's VmHWM; ru_maxrss would also count the process that started this one."""
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmHWM:"))


def blas_library():
    """The file that serves sgemm: Debian's alternative behind libblas.so.3, or what the loader put in its place."""
    with open("/proc/self/maps") as maps:
        paths = {line.split()[-1] for line in maps if "/" in line}
    found = sorted(p for p in paths if "blas" in os.path.basename(p).lower())
    return next((p for p in found if "openblas" in p), found[0] if found else None)


def main():
    torch.set_num_threads(len(os.sched_getaffinity(0)))
    tensors, metadata = read_safetensors(sys.argv[1])
    trainer = Trainer(tensors, json.loads(metadata["setup"]))
    answer = lambda reply: print(json.dumps(reply), flush=True)
    answer({"torch": torch.__version__, "threads": torch.get_num_threads(), "blas": blas_library()})
    for line in sys.stdin:
        command = json.loads(line)["do"]
        if command == "step":
            answer(trainer.step())
        elif command == "memory":
            answer({"peakBytes": peak_bytes()})
        elif command == "exit":
            break
        else:
            answer({"error": f"unknown command {command}"})


if __name__ == "__main__":
    main()
