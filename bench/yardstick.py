"""Time and peak memory of PyTorch on the CPU for what UOE does; each measure in its own process, one JSON object per line on stdout.

    python bench/yardstick.py MODEL [--forget F.jsonl] [--retain R.jsonl] [--control U.safetensors] [--threads 2] [--repeat 3] [--measures a,b] [--target L:E]

MODEL is a checkpoint folder of one of the six families. Rows are {"input_ids": [...], "labels": [...]?}; without labels every token but the first is a target.
F, R and U default to forget.jsonl, retain.jsonl and control.safetensors in MODEL (bench/gen_mid.py writes them). All rows are one batch, right-padded where
their lengths differ. Without --target the first measure, attribution, chooses it.

| measure | what is timed |
|---|---|
| load | reading the checkpoint; its memory |
| forward | one forward of the whole model on F with its logits, no gradients |
| attribution | Eq. 2 on F: one forward of the whole model, the router's scores read by hooks (experts one after another) |
| attribution_grouped | the same with transformers' grouped matrix product for the experts |
| rmu | one step of RMU (expert + router, anchor 1): forward of the whole model on F and on R, as the published trainers do, backward, AdamW. The frozen activations of R are computed once, before |
| rmu_cut | the same with the model cut after the target layer |
| gdiff | one step of GDIFF (expert + router, anchor 1): forward on F and on R, backward, AdamW |
| npo | one step of NPO (beta 0.1, expert + router, anchor 1, retain by likelihood): as gdiff; the reference's log-probabilities are computed once, before |
| endtoend | attribution, then `repeat` steps of rmu; the process from its start is what counts |
| gdiff_full, gdiff_lora | one step of GDIFF on all parameters; on rank-8 adapters of every linear layer. Only when asked for |

Every row holds the numbers computed (target, losses at the first step and after it), so that a faster program can be seen to compute the same.
Memory is the resident set: after loading, its peak while measuring, the peak of the process.
"""
import argparse
import json
import os
import subprocess
import sys
import time

MEASURES = ("load", "forward", "attribution", "attribution_grouped", "rmu", "rmu_cut", "gdiff", "npo")
MORE = ("endtoend", "gdiff_full", "gdiff_lora")
NPO_BETA = 0.1


def status(field):
    """A field of this process's status in MiB; NaN where the system has no /proc."""
    try:
        with open("/proc/self/status") as f:
            return next(int(line.split()[1]) / 1024 for line in f if line.startswith(field + ":"))
    except (OSError, StopIteration):
        return float("nan")


def reset_peak():
    try:
        with open("/proc/self/clear_refs", "w") as f:
            f.write("5")
    except OSError:
        pass


def read_rows(path):
    """(ids [B,L], real [B,L], target [B,L]) of a file of token ids, right-padded."""
    import torch
    with open(path) as f:
        rows = [json.loads(line) for line in f if line.strip()]
    length = max(len(r["input_ids"]) for r in rows)
    ids, real, target = (torch.zeros(len(rows), length, dtype=t) for t in (torch.long, torch.bool, torch.bool))
    for j, r in enumerate(rows):
        n = len(r["input_ids"])
        ids[j, :n], real[j, :n] = torch.tensor(r["input_ids"]), True
        target[j, 1:n] = torch.tensor([x != -100 for x in r.get("labels", r["input_ids"])][1:])
    return ids, real, target


class OneExpertTrains:
    """Stands where a layer's experts stood: expert `target` from its own three parameters, the others from the frozen ones."""

    def __new__(cls, experts, target):
        import torch
        from torch import nn
        m = experts.down_proj.shape[-1]

        class Experts(nn.Module):
            def __init__(self):
                super().__init__()
                self.frozen = experts
                self.gate, self.up, self.down = (nn.Parameter(t.detach().clone()) for t in (
                    experts.gate_up_proj[target, :m], experts.gate_up_proj[target, m:], experts.down_proj[target]))

            def forward(self, x, index, weights):
                out, f = torch.zeros_like(x), self.frozen
                for e in index.unique().tolist():
                    t, k = torch.where(index == e)
                    if e == target:
                        y = (f.act_fn(x[t] @ self.gate.T) * (x[t] @ self.up.T)) @ self.down.T
                    else:
                        g, u = (x[t] @ f.gate_up_proj[e].T).chunk(2, -1)
                        y = (f.act_fn(g) * u) @ f.down_proj[e].T
                    out = out.index_add(0, t, y * weights[t, k, None])
                return out
        return Experts()


def add_lora(model, rank=8):
    """Rank-8 adapters on every linear layer of every decoder layer; returns what trains."""
    import torch
    from torch import nn
    train = []

    class Lora(nn.Module):
        def __init__(self, inner):
            super().__init__()
            self.inner = inner
            self.a = nn.Parameter(torch.randn(rank, inner.in_features) * 0.01)
            self.b = nn.Parameter(torch.zeros(inner.out_features, rank))
            train.extend([self.a, self.b])

        def forward(self, x):
            return self.inner(x) + (x @ self.a.T) @ self.b.T * 2.0
    for layer in model.model.layers:
        for module in list(layer.modules()):
            for name, child in list(module.named_children()):
                if isinstance(child, nn.Linear) and name not in ("inner", "shared_expert_gate"):
                    setattr(module, name, Lora(child))
    return train


def measure(a, name):
    """One measure in this process; returns its row."""
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    import torch
    import transformers
    from torch.nn import functional as F
    transformers.utils.logging.disable_progress_bar()
    torch.set_num_threads(a.threads)
    started = time.perf_counter()
    model = transformers.AutoModelForCausalLM.from_pretrained(
        a.model, dtype=torch.float32, attn_implementation="sdpa",
        experts_implementation="grouped_mm" if name == "attribution_grouped" else "eager").eval().requires_grad_(False)
    row = {"measure": name, "threads": a.threads, "torch": torch.__version__, "transformers": transformers.__version__, "import_and_load_s": time.perf_counter() - started,
           "rss_after_load_mib": status("VmRSS")}
    if name == "load":
        return row | {"parameters": sum(p.numel() for p in model.parameters()), "process_peak_mib": status("VmHWM")}
    process_peak = status("VmHWM")
    reset_peak()
    blocks = {i: layer.mlp for i, layer in enumerate(model.model.layers) if hasattr(layer.mlp, "experts")}
    sigmoid = model.config.model_type in ("deepseek_v3", "glm4_moe")
    seen = {}
    forget = read_rows(a.forget)

    def watch(layer):
        def hook(module, inputs, out):
            probs = out[0].float().sigmoid() if sigmoid else out[0].float().softmax(-1)
            seen[layer] = (probs, torch.zeros_like(probs).scatter(1, out[2], 1.0))
        block = blocks[layer]
        return (block.gate if hasattr(block, "gate") else block.router).register_forward_hook(hook)

    def forward(batch, logits=True):
        ids, real, _ = batch
        mask = None if real.all() else real.long()
        return (model if logits else model.model)(ids, attention_mask=mask, use_cache=False)

    affinity = {}

    def attribution():
        real = forget[1]
        hooks = [watch(layer) for layer in blocks]
        with torch.no_grad():
            forward(forget)
            for layer, (probs, chosen) in seen.items():
                g = (probs * chosen).view(*real.shape, -1) * real[..., None]
                affinity[layer] = (g.sum(1) / real.sum(1, keepdim=True)).mean(0)
        for hook in hooks:
            hook.remove()
        return max(x.max().item() for x in affinity.values())

    def nll(logits, batch):
        ids, _, target = batch
        return F.cross_entropy(logits[:, :-1][target[:, 1:]], ids[:, 1:][target[:, 1:]])

    wall, cpu, values = [], [], []

    def timed(work):
        t, c = time.perf_counter(), time.process_time()
        value = work()
        wall.append(time.perf_counter() - t)
        cpu.append(time.process_time() - c)
        return value

    if name == "forward":
        def step():
            with torch.no_grad():
                return forward(forget).logits
        tokens = int(forget[1].sum())
    elif name.startswith("attribution"):
        step = attribution
        tokens = int(forget[1].sum())
    else:
        if name == "endtoend":
            timed(attribution)
        retain = read_rows(a.retain)
        layer, expert = a.target
        hidden = {}
        model.model.layers[layer].register_forward_hook(lambda m, i, o: hidden.__setitem__("h", o[0] if isinstance(o, tuple) else o))
        if name == "gdiff_full":
            train = [p.requires_grad_(True) for p in model.parameters()]
        elif name == "gdiff_lora":
            train = add_lora(model)
        else:
            blocks[layer].experts = OneExpertTrains(blocks[layer].experts, expert)
            train = [blocks[layer].experts.gate, blocks[layer].experts.up, blocks[layer].experts.down, blocks[layer].gate.weight.requires_grad_(True)]
            watch(layer)
        cut = name == "rmu_cut"
        if cut:
            model.model.layers = model.model.layers[: layer + 1]
        optimizer = torch.optim.AdamW(train, lr=a.lr, weight_decay=0.0)

        def anchor():
            probs, chosen = seen[layer]
            one = F.one_hot(torch.tensor(expert), probs.shape[-1])
            return (((probs * chosen - one) ** 2).sum(-1) * forget[1].view(-1)).sum() / forget[1].sum()

        def mean_nll(batch):
            return nll(forward(batch).logits, batch)

        def log_probability(batch):
            """Of each row's targets, summed [B]."""
            ids, _, target = batch
            each = F.cross_entropy(forward(batch).logits[:, :-1].transpose(1, 2), ids[:, 1:], reduction="none")
            return -(each * target[:, 1:]).sum(1)

        if name.startswith("rmu") or name == "endtoend":
            from safetensors.torch import load_file
            u = load_file(a.control)["u"]
            with torch.no_grad():
                forward(retain, not cut)
                frozen = hidden.pop("h")[retain[1]].clone()

            def loss():
                forward(forget, not cut)
                value = ((hidden["h"][forget[1]] - a.c * u) ** 2).mean() + anchor()
                forward(retain, not cut)
                return value + a.retain_weight * ((hidden["h"][retain[1]] - frozen) ** 2).mean()
        elif name == "npo":
            with torch.no_grad():
                reference = log_probability(forget)

            def loss():
                away = F.logsigmoid(-NPO_BETA * (log_probability(forget) - reference))
                return -2 / NPO_BETA * away.mean() + anchor() + mean_nll(retain)
        else:
            def loss():
                value = -mean_nll(forget)
                if name == "gdiff":
                    value = value + anchor()
                return value + mean_nll(retain)

        def step():
            value = loss()
            value.backward()
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
            return value.item()
        tokens = int(forget[1].sum() + retain[1].sum())
        row |= {"trainable": sum(p.numel() for p in train), "target": {"layer": layer, "expert": expert}}
    for _ in range(a.repeat):
        if name == "forward":
            values.clear()                       # one forward's logits at a time
        values.append(timed(step))
    if name.startswith("attribution"):
        best = max(((x.max().item(), l, int(x.argmax())) for l, x in affinity.items()))
        row["target"] = {"layer": best[1], "expert": best[2], "affinity": best[0]}
    else:
        row["losses"] = [nll(values[0], forget).item()] if name == "forward" else values
    peak = status("VmHWM")
    return row | {"tokens": tokens, "best_wall_s": min(wall), "best_cpu_s": min(cpu), "tokens_per_s": tokens / min(wall), "wall_s": wall, "cpu_s": cpu,
                  "peak_mib": peak, "peak_over_load_mib": peak - row["rss_after_load_mib"], "process_peak_mib": max(process_peak, peak),
                  "load_average": os.getloadavg()[0]}


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("model")
    p.add_argument("--forget")
    p.add_argument("--retain")
    p.add_argument("--control")
    p.add_argument("--threads", type=int, default=2)
    p.add_argument("--repeat", type=int, default=3)
    p.add_argument("--measures", default=",".join(MEASURES))
    p.add_argument("--target", type=lambda s: tuple(int(x) for x in s.split(":")))
    p.add_argument("--lr", type=float, default=1e-4)
    p.add_argument("--c", type=float, default=20.0)
    p.add_argument("--retain-weight", type=float, default=100.0)
    p.add_argument("--only", help="one measure, in this process")
    a = p.parse_args()
    a.forget = a.forget or os.path.join(a.model, "forget.jsonl")
    a.retain = a.retain or os.path.join(a.model, "retain.jsonl")
    a.control = a.control or os.path.join(a.model, "control.safetensors")
    if a.only:
        print(json.dumps(measure(a, a.only)))
        return 0
    names = a.measures.split(",")
    unknown = [n for n in names if n not in MEASURES + MORE]
    if unknown:
        p.error(f"no measure called {', '.join(unknown)}; there are {', '.join(MEASURES + MORE)}")
    failed = False
    if not a.target and not names[0].startswith("attribution") and any(n.startswith(("rmu", "gdiff", "npo", "endtoend")) for n in names):
        names.insert(names.index("load") + 1 if "load" in names else 0, "attribution")
    done = set()
    for name in names:
        if name in done:
            continue
        done.add(name)
        given = ["--target", f"{a.target[0]}:{a.target[1]}"] if a.target else []
        made = subprocess.run([sys.executable, os.path.abspath(__file__), a.model, "--only", name, "--forget", a.forget, "--retain", a.retain, "--control", a.control,
                               "--threads", str(a.threads), "--repeat", str(a.repeat), "--lr", str(a.lr), "--c", str(a.c), "--retain-weight", str(a.retain_weight), *given],
                              capture_output=True, text=True, env={**os.environ, "OMP_NUM_THREADS": str(a.threads)})
        if made.returncode:
            print(json.dumps({"measure": name, "error": made.stderr.strip().splitlines()[-1] if made.stderr.strip() else f"exit {made.returncode}"}), flush=True)
            failed = True
            continue
        line = made.stdout.strip().splitlines()[-1]
        print(line, flush=True)
        if not a.target and name.startswith("attribution"):
            best = json.loads(line)["target"]
            a.target = (best["layer"], best["expert"])
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
