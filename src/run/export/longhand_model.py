"""The model of this folder as one plain PyTorch module (PyTorch 1.13 or newer, and nothing else).

    import longhand_model
    model = longhand_model.load(".")               # the folder with config.json and model.safetensors
    logits = model(tokens)                         # tokens [B, T] (int64) -> logits [B, T, V]
    ids = longhand_model.generate(model, ids, 100) # ids [B, T]; the whole text is read again for every token

Written to be read beside the paper: Hua, Dai, Liu, Le 2022, "Transformer Quality in Linear Time". A text is one document,
without padding. tokenizer.json is for the `tokenizers` package: Tokenizer.from_file("tokenizer.json").

Symbols: B texts of T tokens in G chunks of C, d width, V vocabulary, e gated width, s width of queries and keys, H heads of
width w. Parameters are named as in the file: p.hidden.weight of a layer p is its tensor "layers.N.hidden.weight" [in, out].
"""

import functools
import json
import math
import os
import struct

import torch
import torch.nn.functional as F
from torch import nn

EPSILON = 1e-5  # of the norms
ROTARY_BIAS_FROM = 512  # positions: from here on a relative bias is rotary
MOST_FORGOTTEN = math.log(16)  # of everything before, while one chunk is crossed
HIDDEN = -1e30  # added to a score, it makes the weight 0

COMMON = {"architecture", "vocabSize", "width", "layers", "causal", "absolute", "head", "embedding", "finalNorm"}
GATED = {"expansion", "shared", "chunk", "maxLength", "attentionFunction", "gate", "tokenShift", "gamma", "outputMaps"}
GATED = GATED | {"norm", "rotaryWidth"}
BLOCK = {"heads", "ffn", "outputMaps"}
MEMORY = {"memory", "halfLives"}
FIELDS = {
    "flash": GATED | MEMORY | {"attention"},
    "flash-quad": GATED,
    "transformer": BLOCK,
    "transformer+": BLOCK,
    "transformer++": BLOCK,
    "mc-tfm++": BLOCK | MEMORY | {"gamma", "chunk"},
    "performer": BLOCK | {"features", "featureSeed"},
    "combiner": BLOCK | {"chunk"},
}


# The files


def read_safetensors(path):
    """Its tensors by name, float32. 8-bit integers are multiplied by the scales that stand beside them, NAME.scale."""
    types = {"F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16, "I8": torch.int8}
    with open(path, "rb") as file:
        data = bytearray(file.read())
    (length,) = struct.unpack_from("<Q", data)
    header = json.loads(data[8 : 8 + length])
    block = int(header.pop("__metadata__", {}).get("block", 0))
    tensors = {}
    for name, entry in header.items():
        if entry["dtype"] not in types:
            raise ValueError(f"{path}: tensor {name}: expected one of {', '.join(types)}, got {entry['dtype']}")
        begin, end = (8 + length + offset for offset in entry["data_offsets"])
        values = torch.frombuffer(bytearray(data[begin:end]), dtype=types[entry["dtype"]])
        tensors[name] = values.reshape(entry["shape"]).float()
    for name, entry in header.items():
        if entry["dtype"] == "I8":
            tensors[name] = dequantised(tensors[name], tensors.pop(name + ".scale"), block)
    return tensors


def dequantised(integers, scales, block):
    """integers [R, C]; scales [R / block, C] or [R, C / block], rounded up: one for each block of an axis."""
    R, C = integers.shape
    axis = 0 if scales.shape == ((R + block - 1) // block, C) else 1
    return integers * scales.repeat_interleave(block, axis)[:R, :C]


def load(folder=None):
    """The model of an export folder; default: the folder that this file stands in."""
    folder = folder or os.path.dirname(os.path.abspath(__file__))
    with open(os.path.join(folder, "config.json"), encoding="utf-8") as file:
        config = json.load(file)["model"]
    return LanguageModel(config, read_safetensors(os.path.join(folder, "model.safetensors"))).eval()


# What all models share


def linear(p, x):
    return x @ p.weight + p.bias


def norm(p, x):
    """LayerNorm where there is a bias, else ScaleNorm."""
    if hasattr(p, "bias"):
        return F.layer_norm(x, x.shape[-1:], p.gain, p.bias, EPSILON)
    return x * (x.square().mean(-1, keepdim=True) + EPSILON).rsqrt() * p.gain


def angles(T, width, like):
    """Cosines and sines of position * 10000^(-2 i / width): [T, width / 2] each."""
    half = width // 2
    position = torch.arange(T, dtype=torch.float64, device=like.device)[:, None]
    angle = position * 10000.0 ** (-torch.arange(half, dtype=torch.float64, device=like.device) / half)
    return angle.cos().to(like.dtype), angle.sin().to(like.dtype)


def rope(x, cos, sin):
    """x [..., T, w] with pairs (i, i + w / 2) turned; where there are fewer angles than pairs, the others stay."""
    a, b = x.chunk(2, -1)
    missing = a.shape[-1] - cos.shape[-1]
    cos, sin = F.pad(cos, (0, missing), value=1.0), F.pad(sin, (0, missing))
    return torch.cat([a * cos - b * sin, b * cos + a * sin], -1)


def in_chunks(x, C):
    """[..., T, w] -> [..., G, C, w], with zeros after the last token."""
    x = F.pad(x, (0, 0, 0, -x.shape[-2] % C))
    return x.unflatten(-2, (-1, C))


def visible(T, causal, device):
    """[T, T]: which keys a query sees."""
    square = torch.ones(T, T, dtype=torch.bool, device=device)
    return square.tril() if causal else square


def attend(function, scores, seen, v):
    """f(scores) v with the weight 0 where a key is not seen."""
    scores = scores.masked_fill(~seen, HIDDEN)
    if function == "softmax":
        return scores.softmax(-1) @ v
    if function == "laplace":  # of Mega
        return (torch.erf(scores * math.sqrt(2 * math.pi) - math.sqrt(math.pi)) + 1) / 2 @ v
    return scores.relu().square() @ v


class LanguageModel(nn.Module):
    def __init__(self, config, parameters):
        super().__init__()
        self.config = config
        known = FIELDS.get(config["architecture"])
        if known is None:
            raise ValueError(f"architecture: expected one of {', '.join(FIELDS)}, got {config['architecture']}")
        for field in config:
            if field not in known | COMMON:
                raise ValueError(f"{field}: this module does not know this field of a {config['architecture']} model")
        for path, values in parameters.items():
            *parents, name = path.split(".")
            module = self
            for parent in parents:
                if not hasattr(module, parent):
                    module.add_module(parent, nn.Module())
                module = getattr(module, parent)
            module.register_parameter(name, nn.Parameter(values))

    def forward(self, tokens):
        """tokens [B, T] -> logits [B, T, V]"""
        c = self.config
        T, d = tokens.shape[1], c["width"]
        x = self.embedding.weight[tokens]
        if c.get("absolute", True):
            cos, sin = angles(T, d, x)
            x = x + torch.cat([sin, cos], -1) * self.position.scale
        layer = LAYERS[c["architecture"]]
        for i in range(c["layers"]):
            x = layer(getattr(self.layers, str(i)), x, c, i)
        table = self.embedding.weight if c.get("head", "tied") == "tied" else self.logits.weight
        return norm(self.final.norm, x) @ table.T + self.logits.bias


# The gated attention unit (section 2), with attention over the whole text (FLASH-Quad) or mixed chunk attention (FLASH)


def gated_unit(p, x, c, count):
    """`count` pairs of queries and keys [B, T, s], values v [B, T, e], the shared z [B, T, s], the gate u [B, T, e] or None."""
    e, s, T = c["width"] * c.get("expansion", 2), c["shared"], x.shape[1]
    normal = norm(p.norm, x)
    if c.get("tokenShift", False):  # half of the features are those of the token before
        before, own = normal.chunk(2, -1)
        normal = torch.cat([F.pad(before, (0, 0, 1, -1)), own], -1)
    parts = F.silu(linear(p.hidden, normal))
    u, v, z = parts.split([e, e, s], -1) if c.get("gate", True) else (None, *parts.split([e, s], -1))
    cos, sin = angles(T, c.get("rotaryWidth", s), x)
    heads = [rope(z * gamma + beta, cos, sin) for gamma, beta in zip(p.heads.gamma, p.heads.beta)]
    return [heads[2 * i : 2 * i + 2] for i in range(count)], v, z, u


def score_scale(c, span):
    return c["shared"] ** -0.5 if c.get("attentionFunction") == "softmax" else 1 / span


def relative_bias(p, length, T, s):
    """[T, T], of a span of `length` positions: a value for each distance, or of two rotated vectors a and b."""
    if length < ROTARY_BIAS_FROM:
        position = torch.arange(T, device=p.weight.device)
        return p.weight[position - position[:, None] + length - 1]
    cos, sin = angles(T, s, p.a)
    return rope(p.a.expand(T, s), cos, sin) @ rope(p.b.expand(T, s), cos, sin).T


def gated_output(p, x, u, attended):
    return x + linear(p.out, attended if u is None else u * attended)


def flash_quad(p, x, c, _):
    T, n, s = x.shape[1], c["maxLength"], c["shared"]
    if T > n:
        raise ValueError(f"maxLength: this model reads at most {n} tokens, got {T}")
    [(q, k)], v, _, u = gated_unit(p, x, c, 1)
    scores = q @ k.transpose(-1, -2) * score_scale(c, n) + relative_bias(p.bias, n, T, s)
    seen = visible(T, c.get("causal", True), x.device)
    return gated_output(p, x, u, attend(c.get("attentionFunction", "relu2"), scores, seen, v))


def flash(p, x, c, _):
    B, T, d = x.shape
    C, s, causal, attention = c["chunk"], c["shared"], c.get("causal", True), c.get("attention", "mixed")
    pairs, v, z, u = gated_unit(p, x, c, 2 if attention == "mixed" else 1)
    v = in_chunks(v, C)
    attended = torch.zeros_like(v)
    if attention != "global":  # inside chunks
        q, k = (in_chunks(t, C) for t in pairs[0])
        scores = q @ k.transpose(-1, -2) * score_scale(c, C) + relative_bias(p.bias, C, C, s)  # [B, G, C, C]
        seen = seen_in_chunks(T, C, causal, x.device)
        attended = attended + attend(c.get("attentionFunction", "relu2"), scores, seen, v)
    if attention != "local":  # across chunks
        q, k = (in_chunks(t, C) for t in pairs[-1])
        attended = attended + distant(getattr(p, "decay", None), q, k, v, c, T, z)
    return gated_output(p, x, u, attended.flatten(1, 2)[:, :T])


def seen_in_chunks(T, C, causal, device):
    """[G, C, C]: which keys of its chunk a query sees; none after the end of the text."""
    position = torch.arange(-(-T // C) * C, device=device).reshape(-1, 1, C)
    return (position < T) & visible(C, causal, device)


# The distant half of mixed chunk attention (section 3.2): linear attention across chunks


def distant(p, q, k, v, c, T, z=None):
    """From chunks before the token's own or, bidirectional, from all tokens; q, k [..., G, C, s], v [..., G, C, n]."""
    G, C, s = q.shape[-3:]
    causal, memory = c.get("causal", True), c.get("memory", "sum")
    kv = k.transpose(-1, -2) @ v  # [..., G, s, n]
    if memory == "sum":
        if causal:
            return q / C @ (kv.cumsum(-3) - kv)
        return q / T @ kv.sum(-3, keepdim=True)
    real = (torch.arange(G * C, device=q.device) < T).to(q.dtype).reshape(G, C, 1)
    rates = decay_rates(p, c, z, q)  # [..., G or 1, C, s / 2] for C tokens
    logs = -torch.cat([rates, rates], -1) / C * real  # RoPE turns i and i + s / 2 together: they share a decay
    across = logs.sum(-2).clamp(min=-MOST_FORGOTTEN).exp()  # what crossing a chunk leaves, [..., G, s]
    earlier = logs.flip(-2).cumsum(-2).flip(-2) - logs  # from each token to the end of its chunk
    sums = beside(k, v, earlier.exp() * real, across, range(G))
    if not causal:
        later = logs.cumsum(-2) - logs  # from the beginning of its chunk to each token
        after = beside(k, v, later.exp() * real, across, range(G - 1, -1, -1))
        sums = sums[0] + after[0] + kv, sums[1] + after[1] + real.sum(-2)[..., None] / C
    values, weights = sums
    return q / C @ (values / weights.clamp(min=1e-6))


def beside(k, v, weights, across, order):
    """For each chunk the decayed sum of kᵀ v over those that `order` has before it, [..., G, s, n], and what they weigh."""
    kv = (k * weights).transpose(-1, -2) @ v
    G, C = k.shape[-3:-1]
    own, across = (weights.sum(-2) / C)[..., None], across[..., None]  # [..., G, s, 1]
    values, totals = [None] * G, [None] * G
    value, total = torch.zeros_like(kv[..., 0, :, :]), torch.zeros_like(own[..., 0, :, :])
    for g in order:
        values[g], totals[g] = value, total
        value = value * across[..., g, :, :] + kv[..., g, :, :]
        total = total * across[..., g, :, :] + own[..., g, :, :]
    return torch.stack(values, -3), torch.stack(totals, -3)


def decay_rates(p, c, z, q):
    """How fast what lies before fades, for C tokens: log 2 divided by half-lives from the shortest to the longest."""
    G, C, s = q.shape[-3:]
    shortest, longest = c.get("halfLives", [1, 1024])
    place = torch.linspace(0, 1, s // 2, dtype=torch.float64, device=q.device) if s > 2 else torch.ones(1, device=q.device)
    start = (C * math.log(2) / (shortest * (longest / shortest) ** place)).to(q.dtype)
    memory = c["memory"]
    if memory == "mean":
        return torch.zeros_like(start).expand(1, C, s // 2)
    if memory == "decay":
        return start.expand(1, C, s // 2)
    if memory == "learned":
        rates = p.offset.exp() * start  # [s / 2] or [H, s / 2]
        return rates[..., None, None, :].expand(*rates.shape[:-1], 1, C, s // 2)
    return in_chunks((z @ p.weight + p.offset).clamp(max=10).exp() * start, C)  # gated: by the tokens


# The Transformers: pre-norm blocks of multi-head attention and a feed-forward network


def block(attention, gated):
    def layer(p, x, c, index):
        H = c["heads"]
        normal = norm(p.norm1, x)
        q, k, v = (linear(m, normal).unflatten(-1, (H, -1)).transpose(1, 2) for m in (p.query, p.key, p.value))
        heads = attention(p, q, k, v, c, index)  # [B, H, T, w]
        x = x + linear(p.attention_out, heads.transpose(1, 2).flatten(2))
        normal = norm(p.norm2, x)
        inner = F.gelu(linear(p.up, normal))
        return x + linear(p.down, inner * linear(p.gate, normal) if gated else inner)

    return layer


def turned(*vectors):
    cos, sin = angles(vectors[0].shape[-2], vectors[0].shape[-1], vectors[0])
    return [rope(x, cos, sin) for x in vectors]


def softmax_attention(p, q, k, v, c, _):
    scores = q @ k.transpose(-1, -2) * q.shape[-1] ** -0.5
    return attend("softmax", scores, visible(q.shape[-2], c.get("causal", True), q.device), v)


def rotary_attention(p, q, k, v, c, _):
    return softmax_attention(p, *turned(q, k), v, c, _)


def mixed_chunk_attention(p, q, k, v, c, _):
    """Of MC-TFM++: softmax inside chunks and the distant half of FLASH, in each head."""
    T, w, C, causal = q.shape[-2], q.shape[-1], c["chunk"], c.get("causal", True)
    affine = [x * gamma[:, None] + beta[:, None] for x, gamma, beta in zip((q, k, q, k), p.heads.gamma, p.heads.beta)]
    qq, qk, lq, lk = (in_chunks(x, C) for x in turned(*affine))  # [B, H, G, C, w]
    v = in_chunks(v, C)
    local = attend("softmax", qq @ qk.transpose(-1, -2) * w**-0.5, seen_in_chunks(T, C, causal, q.device), v)
    return (local + distant(getattr(p, "decay", None), lq, lk, v, c, T)).flatten(2, 3)[:, :, :T]


def combiner_attention(p, q, k, v, c, _):
    """Of Combiner (Ren et al. 2021): one softmax over the tokens of the own block and a summary of each other block."""
    T, w, C, causal = q.shape[-2], q.shape[-1], c["chunk"], c.get("causal", True)
    q = q * w**-0.5
    q, k, v = (in_chunks(x, C) for x in (*turned(q, k), v))  # [B, H, G, C, w]
    G = q.shape[-3]
    ended = (torch.arange(G * C, device=q.device) >= T).reshape(G, C, 1)
    largest = lambda x: x.masked_fill(ended, HIDDEN).amax(-2)  # of each block, [B, H, G, w]
    scores = (largest(q)[..., None, :] @ k.transpose(-1, -2)).masked_fill(ended.transpose(-1, -2), HIDDEN)
    key, value = largest(k), (scores.softmax(-1) @ v).squeeze(-2)
    others = visible(G, causal, q.device) & ~torch.eye(G, dtype=torch.bool, device=q.device)
    seen = torch.cat([seen_in_chunks(T, C, causal, q.device), others[:, None].expand(G, C, G)], -1)
    per_block = lambda summary: summary[:, :, None].expand(-1, -1, G, -1, -1)  # every block sees all summaries
    keys, values = torch.cat([k, per_block(key)], -2), torch.cat([v, per_block(value)], -2)
    return attend("softmax", q @ keys.transpose(-1, -2), seen, values).flatten(2, 3)[:, :, :T]


def favor_attention(p, q, k, v, c, index):
    """FAVOR+ of Performer (Choromanski et al. 2021): softmax estimated by positive random features."""
    w = q.shape[-1]
    omega = random_features(c["features"], w, c.get("featureSeed", 1), index).to(q) * w**-0.25  # [m, w]
    q, k = turned(q, k)
    exponents = k @ omega.T - k.square().sum(-1, keepdim=True) / (2 * math.sqrt(w))
    phi_k = (exponents - exponents.amax((-2, -1), keepdim=True)).exp()
    scores = q @ omega.T
    phi_q = (scores - scores.amax(-1, keepdim=True)).exp()
    weights = phi_q @ phi_k.transpose(-1, -2) * visible(q.shape[-2], c.get("causal", True), q.device)
    return weights @ v / weights.sum(-1, keepdim=True).clamp(min=1e-30)


@functools.lru_cache(maxsize=None)
def random_features(m, w, seed, layer):
    """omega [m, w]: orthogonal within each block of w rows, as long as normal vectors. Not trained, so not in the file."""
    rows = normals(random_key(seed, "FAVOR+ directions", layer), m * w).reshape(m, w)
    for square in rows.split(w):
        for i, row in enumerate(square):
            for _ in range(2):  # Gram-Schmidt, twice against rounding
                row -= square[:i].T @ (square[:i] @ row)
            row /= row.norm()
    lengths = normals(random_key(seed, "FAVOR+ lengths", layer), m * w).reshape(m, w).norm(dim=1, keepdim=True)
    return (rows * lengths).float()


def philox(counter, key):
    """A block of Philox4x32-10 (Salmon et al. 2011): four words of 32 bits."""
    (a, b, c, d), (k, l) = counter, key
    for _ in range(10):
        x, y = 0xD2511F53 * a, 0xCD9E8D57 * c
        a, b, c, d = (y >> 32) ^ b ^ k, y & 0xFFFFFFFF, (x >> 32) ^ d ^ l, x & 0xFFFFFFFF
        k, l = (k + 0x9E3779B9) & 0xFFFFFFFF, (l + 0xBB67AE85) & 0xFFFFFFFF
    return a, b, c, d


def random_key(seed, stream, step):
    name = 0x811C9DC5
    for letter in stream:
        name = (name ^ ord(letter)) * 0x01000193 & 0xFFFFFFFF
    return philox((seed & 0xFFFFFFFF, seed >> 32, step & 0xFFFFFFFF, step >> 32), (name, len(stream)))[:2]


def normals(key, count):
    """Normal numbers (Box and Muller 1958), rounded to float32."""
    words = [philox((i, 0, 1, 0), key) for i in range(0, count, 4)]
    words = torch.tensor(words, dtype=torch.float64).reshape(-1, 2)
    radius = torch.sqrt(-2 * torch.log((words[:, :1] + 1) / 2**32))
    angle = 2 * math.pi * words[:, 1:] / 2**32
    return torch.cat([radius * angle.cos(), radius * angle.sin()], 1).flatten()[:count].float().double()


LAYERS = {
    "flash": flash,
    "flash-quad": flash_quad,
    "transformer": block(softmax_attention, gated=False),
    "transformer+": block(rotary_attention, gated=False),
    "transformer++": block(rotary_attention, gated=True),
    "mc-tfm++": block(mixed_chunk_attention, gated=True),
    "performer": block(favor_attention, gated=True),
    "combiner": block(combiner_attention, gated=True),
}


@torch.no_grad()
def generate(model, tokens, count, temperature=0.8, top_p=0.95):
    """Appends `count` tokens to tokens [B, T]; temperature 0 takes the likeliest. torch.manual_seed makes it repeatable."""
    if not model.config.get("causal", True):
        raise ValueError("causal: expected true to generate text; this model fills in blanks: see its logits at them")
    for _ in range(count):
        logits = model(tokens)[:, -1]
        if temperature == 0:
            chosen = logits.argmax(-1, keepdim=True)
        else:
            p, order = (logits / temperature).softmax(-1).sort(-1, descending=True)
            p = p.masked_fill(p.cumsum(-1) - p >= top_p, 0)  # the fewest likeliest that together reach top_p
            chosen = order.gather(-1, torch.multinomial(p, 1))
        tokens = torch.cat([tokens, chosen], 1)
    return tokens
