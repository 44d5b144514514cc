"""Writes test/fixtures/gradients: what torch autograd says of the gradients of ALL parameters of the small checkpoints, and of AdamW on them.

    python tools/reference/make_gradients.py

Weights are those of the checkpoint times 1 + a cos(i), i the flat index within the tensor (within an expert's slice of an aggregated one), so that
NPO and RMU are not at their start; a is the first of AMPLITUDES that leaves no token near a routing tie. Losses: "logits" = npo_0.1 + nll_retain + anchor_paper, "kl" = ga + kl_retain, "rmu" as in moe_reference.py.
Of three checkpoints every gradient is kept (NAME.safetensors, `LOSS.tensor name`), of all of them the norm and some places of each (samples.json).
Names and slices are those on disk; a tied head adds to the embedding. `trace.*` of trace.safetensors: three AdamW steps of all parameters and of LoRA.
"""
import json
import math
import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
import torch
from moe_reference import Reference, loss_parts, rounded
from safetensors import safe_open
from safetensors.torch import load_file, save_file

VARIANTS = os.path.normpath(os.path.join(HERE, "../../test/fixtures/variants"))
OUT = os.path.normpath(os.path.join(HERE, "../../test/fixtures/gradients"))
WHOLE = ("qwen2_moe_dense_window", "deepseek_v3_halves", "gpt_oss")
TRACED = "qwen2_moe_dense_window"
LOSSES = {"logits": lambda p: p["npo_0.1"] + p["nll_retain"] + p["anchor_paper"], "kl": lambda p: p["ga"] + p["kl_retain"], "rmu": lambda p: p["rmu"]}
AMPLITUDES = (0.02, 0.03, 0.01, 0.015, 0.025)
LR, STEPS, RANK, ALPHA = 1e-3, 3, 2, 4.0


def on_disk(folder):
    tensors = {}
    for file in sorted(os.listdir(folder)):
        if file.startswith("model") and file.endswith(".safetensors"):
            with safe_open(os.path.join(folder, file), "pt") as s:
                tensors |= {k: s.get_tensor(k).float() for k in s.keys()}
    return tensors


def place(model, value):
    """The parameter and the index in it that hold a tensor of the file: found by its values, which are random and so unique."""
    for name, p in model.named_parameters():
        if p.shape == value.shape and torch.equal(p, value):
            return name, ()
        if p.dim() == value.dim() + 1 and p.dim() == 3:
            m = value.shape[0]
            for e in range(p.shape[0]):
                for index in ((e,), (e, slice(0, m)), (e, slice(m, None))):
                    if p[index].shape == value.shape and torch.equal(p[index], value):
                        return name, index
    return None


def moved(name, value, amplitude):
    sliced = value.dim() == 3 or (name.endswith("_bias") and ".experts." in name)
    flat = value.reshape(value.shape[0] if sliced else 1, -1)
    return (flat * (1 + amplitude * torch.cos(torch.arange(flat.shape[1], dtype=torch.float64)))).float().reshape(value.shape)


class Functional:
    """A model that runs with other parameters, which may hang on a graph of their own."""

    def __init__(self, model, parameters):
        self.own, self.parameters = model, parameters
        self.model, self.config = model.model, model.config

    def __call__(self, *args, **kwargs):
        return torch.func.functional_call(self.own, self.parameters, args, kwargs)


def prepared(folder):
    ref = Reference(folder)
    with open(os.path.join(folder, "golden.json")) as f:
        golden = json.load(f)
    u = load_file(os.path.join(folder, "golden.safetensors"))["rmu_u"]
    data = {s: golden["input"][s] for s in ("forget", "retain")}
    target = (golden["target"]["layer"], golden["target"]["expert"])
    with torch.no_grad():
        base = {s: [ref.run(q["ids"]) for q in data[s]] for s in data}
    places = {name: at for name, value in on_disk(folder).items() if (at := place(ref.model, value))}
    return ref, data, target, base, u, places


def write(ref, places, values):
    parameters = dict(ref.model.named_parameters())
    with torch.no_grad():
        for name, (parameter, index) in places.items():
            parameters[parameter][index] = values[name] if index else values[name].reshape(parameters[parameter].shape)


def gradients(folder):
    ref, data, target, base, u, places = prepared(folder)
    covered = {parameter for parameter, _ in places.values()}
    missing = [name for name, _ in ref.model.named_parameters() if name not in covered]
    assert not missing, missing
    disk = on_disk(folder)
    ref.model.requires_grad_(True)
    for amplitude in AMPLITUDES:
        write(ref, places, {name: moved(name, disk[name], amplitude) for name in places})
        parts, _, _, run = loss_parts(ref, data, target, base, u)
        if ref.gap(run["forget"] + run["retain"]) > 1e-4:
            break
    else:
        raise SystemExit(f"{folder}: a routing tie at every amplitude")
    result = {}
    for loss, of in LOSSES.items():
        ref.model.zero_grad()
        total = of(parts)
        total.backward(retain_graph=True)
        parameters = dict(ref.model.named_parameters())
        grads = {}
        for name, (parameter, index) in places.items():
            g = parameters[parameter].grad
            grads[name] = torch.zeros_like(disk[name]) if g is None else g[index].clone().reshape(disk[name].shape)
        result[loss] = (total.item(), grads)
    return target, amplitude, result


def short(x):
    return float(f"{x:.6g}")


def sample(g):
    flat = g.reshape(-1)
    places = sorted({int(flat.abs().argmax()), flat.numel() // 3, 2 * flat.numel() // 3})
    return {"norm": short(flat.double().norm().item()), "at": places, "values": [short(flat[i].item()) for i in places]}


def adapted(name, value):
    """The linear weights that LoRA adapts here: projections of attention, experts, shared experts and dense layers."""
    return value.dim() == 2 and value.shape[0] > 1 and (".self_attn." in name or ".mlp." in name) and not name.endswith("mlp.gate.weight")


def total_of(ref, data, target, base, u):
    parts = loss_parts(ref, data, target, base, u)[0]
    return parts["ga"] + parts["nll_retain"]


def traces(folder):
    """ga + nll_retain from the weights as stored."""
    arrays, losses = {}, {}
    ref, data, target, base, u, places = prepared(folder)
    ref.model.requires_grad_(True)
    opt = torch.optim.AdamW(ref.model.parameters(), lr=LR, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.0)
    losses["full"] = []
    for _ in range(STEPS):
        opt.zero_grad()
        total = total_of(ref, data, target, base, u)
        losses["full"].append(total.item())
        total.backward()
        opt.step()
    parameters = dict(ref.model.named_parameters())
    for name, (parameter, index) in places.items():
        arrays[f"full.{name}"] = parameters[parameter].detach()[index].clone()

    ref, data, target, base, u, places = prepared(folder)
    disk = on_disk(folder)
    own = {name: value for name, value in disk.items() if name in places and adapted(name, value)}
    g = torch.Generator().manual_seed(7)
    a = {n: ((2 * torch.rand(RANK, v.shape[1], generator=g) - 1) / math.sqrt(v.shape[1])).requires_grad_(True) for n, v in own.items()}
    b = {n: torch.zeros(v.shape[0], RANK, requires_grad=True) for n, v in own.items()}
    for n in own:
        arrays[f"lora.start.{n}.lora_A"] = a[n].detach().clone()
    plain = ref.model
    fixed = dict(plain.named_parameters())
    opt = torch.optim.AdamW([*a.values(), *b.values()], lr=LR, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.0)
    losses["lora"] = []
    for _ in range(STEPS):
        opt.zero_grad()
        merged = dict(fixed)
        for n in own:
            parameter, index = places[n]
            if merged[parameter] is fixed[parameter]:
                merged[parameter] = fixed[parameter].clone()
            merged[parameter][index] = merged[parameter][index] + ALPHA / RANK * (b[n] @ a[n])
        ref.model = Functional(plain, merged)
        total = total_of(ref, data, target, base, u)
        losses["lora"].append(total.item())
        total.backward()
        opt.step()
    for n in own:
        arrays[f"lora.end.{n}.lora_A"], arrays[f"lora.end.{n}.lora_B"] = a[n].detach(), b[n].detach()
    return arrays, {"rank": RANK, "alpha": ALPHA, "lr": LR, "losses": losses}


def main():
    os.makedirs(OUT, exist_ok=True)
    samples = {}
    for name in sorted(os.listdir(VARIANTS)):
        folder = os.path.join(VARIANTS, name)
        if not os.path.isdir(folder):
            continue
        target, amplitude, result = gradients(folder)
        samples[name] = {"target": list(target), "amplitude": amplitude, "losses": {}}
        for loss, (value, grads) in result.items():
            samples[name]["losses"][loss] = {"value": value, "tensors": {n: sample(g) for n, g in sorted(grads.items())}}
        if name in WHOLE:
            save_file({f"{loss}.{n}": g.contiguous() for loss in ("logits", "rmu") for n, g in result[loss][1].items() if g.abs().max() > 0},
                      os.path.join(OUT, f"{name}.safetensors"))
        print(name, {loss: round(value, 6) for loss, (value, _) in result.items()}, len(grads))
    arrays, facts = traces(os.path.join(VARIANTS, TRACED))
    save_file({k: v.contiguous() for k, v in arrays.items()}, os.path.join(OUT, "trace.safetensors"))
    with open(os.path.join(OUT, "samples.json"), "w") as f:
        json.dump({"lossWeights": {"npo_beta": 0.1, "rmu_c": 20.0, "rmu_lambda": 100.0}, "trace": rounded({"checkpoint": TRACED, **facts}), "checkpoints": rounded(samples)}, f, separators=(",", ":"))
        f.write("\n")


if __name__ == "__main__":
    main()
