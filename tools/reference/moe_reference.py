"""What Hugging Face transformers and torch autograd say about a small MoE checkpoint: routing, attribution, losses, gradients, traces.

Everything is float32 on the CPU, eager attention and eager experts, evaluation mode, one sequence at a time (batch 1, no padding).
Stored bf16/f16 weights are first widened to float32. The definitions are those of test/fixtures/golden/README.md.
Development only: python with torch, transformers 5 and safetensors; no test of the program needs it.
"""
import contextlib
import json
import os

os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")

import torch
import torch.nn.functional as F

torch.set_num_threads(1)

NPO_BETAS = (0.1, 0.001)
SIMNPO = {"simnpo": (4.5, 0.0), "simnpo_beta0.2": (0.2, 0.0), "simnpo_delta24": (4.5, 24.0)}
LOSSES = ("ga", "nll_retain", "kl_retain", *(f"npo_{b:g}" for b in NPO_BETAS), *SIMNPO, "rmu", "anchor_paper", "anchor_released")
RMU_C, RMU_LAMBDA, LR, STEPS = 20.0, 100.0, 1e-3, 10


def load(folder):
    """The checkpoint as a float32 model; refuses missing or unexpected tensors, but for a multi-token-prediction layer after the last."""
    import transformers
    transformers.utils.logging.disable_progress_bar()
    model, info = transformers.AutoModelForCausalLM.from_pretrained(
        folder, dtype=torch.float32, attn_implementation="eager", experts_implementation="eager", output_loading_info=True)
    last = model.config.num_hidden_layers
    info["unexpected_keys"] = [k for k in info["unexpected_keys"] if not k.startswith(f"model.layers.{last}.")]
    bad = {k: sorted(v) for k, v in info.items() if v}
    if bad:
        raise SystemExit(f"{folder}: {bad}")
    return model.eval().requires_grad_(False)


class Reference:
    """A model with its routing made visible. `layers` are the MoE layers, numbered as in the tensor names."""

    def __init__(self, folder):
        self.model = load(folder)
        c = self.model.config
        self.family = c.model_type
        self.blocks = {i: l.mlp for i, l in enumerate(self.model.model.layers) if hasattr(l.mlp, "experts")}
        self.layers = list(self.blocks)
        self.routers = {i: b.gate if hasattr(b, "gate") else b.router for i, b in self.blocks.items()}
        self.experts = next(iter(self.blocks.values())).experts.num_experts
        self.k = c.num_experts_per_tok
        self.sigmoid = self.family in ("deepseek_v3", "glm4_moe")
        self.mixer = c.router_jitter_noise if self.family == "phimoe" else None
        self.scaled = self.family in ("deepseek_v2", "deepseek_v3", "glm4_moe")
        self.scale = c.routed_scaling_factor if self.scaled else 1.0
        self.renormalise = {"mixtral": True, "deepseek_v2": False, "gpt_oss": True}.get(self.family, getattr(c, "norm_topk_prob", False))
        # The trained tensors: gpt_oss keeps gate and up in one, in turns, and has biases everywhere.
        self.parts = (("gate_up", "gate_up_bias", "down", "down_bias", "router", "router_bias") if self.family == "gpt_oss"
                      else ("gate", "up", "down", "router"))
        method = getattr(c, "topk_method", None)
        self.groups = (c.n_group, c.topk_group) if self.sigmoid or (self.family == "deepseek_v2" and method == "group_limited_greedy") else None

    def gating_text(self):
        e, k, g = self.experts, self.k, self.groups
        if self.mixer is not None:
            return (f"softmax over all E, the two best one after the other; weight = softmax of the logits among those within 2 * {self.mixer} of it, "
                    "relative to max(|logit|, best); the first is left out of the second's")
        if self.sigmoid:
            s = "sigmoid over all E, top-K of score + e_score_correction_bias, weights without the bias"
        else:
            s = "softmax over all E, top-K"
        s += (", divided by their sum" + (" + 1e-20" if self.sigmoid else "")) if self.renormalise else ", not renormalised"
        s += f", times {self.scale}" if self.scaled else ""
        if g and g[0] > 1:
            s += f"; group limited: {g[1]} of {g[0]} groups by " + ("the sum of the group's 2 best (score + bias)" if self.sigmoid else "the group's best score")
        return s

    def selection(self, layer, probs, forbid=None):
        """Selection scores [T,E] (-inf or 0 where the group was not kept) and the smallest gap between groups [float]."""
        s = probs + self.routers[layer].e_score_correction_bias if self.sigmoid else probs
        if forbid is not None:
            s = s.index_fill(-1, torch.tensor([forbid]), float("-inf"))
        gap = float("inf")
        if self.groups:
            n, keep = self.groups
            g = s.view(-1, n, self.experts // n)
            score = g.topk(2, -1)[0].sum(-1) if self.sigmoid else g.max(-1).values
            top = score.sort(-1, descending=True).values
            if keep < n:
                gap = (top[:, keep - 1] - top[:, keep]).min().item()
            kept = torch.zeros_like(score).scatter_(1, score.topk(keep, -1)[1], 1).bool()
            s = s.masked_fill(~kept[..., None].expand_as(g).reshape_as(s), float("-inf"))
        return s, gap

    def run(self, ids):
        """One sequence: logits [L,V], hidden per layer [L,d], per MoE layer u, router_logits, probs, weights, index, moe_out."""
        hidden, taps, hooks = {}, {}, []
        for i, l in enumerate(self.model.model.layers):
            hooks.append(l.register_forward_hook(lambda m, a, o, i=i: hidden.__setitem__(i, (o[0] if isinstance(o, tuple) else o)[0])))
        for i, b in self.blocks.items():
            taps[i] = {}
            hooks.append(b.register_forward_pre_hook(lambda m, a, i=i: taps[i].__setitem__("u", a[0].reshape(-1, a[0].shape[-1]))))
            hooks.append(b.register_forward_hook(lambda m, a, o, i=i: taps[i].__setitem__("moe_out", (o[0] if isinstance(o, tuple) else o).reshape(-1, a[0].shape[-1]))))
            hooks.append(self.routers[i].register_forward_hook(lambda m, a, o, i=i: taps[i].update(router_logits=o[0], weights=o[1], index=o[2])))
        try:
            logits = self.model(torch.tensor([ids]), use_cache=False).logits[0]
        finally:
            for h in hooks:
                h.remove()
        for t in taps.values():
            t["probs"] = t["router_logits"].sigmoid() if self.sigmoid else t["router_logits"].softmax(-1)
        return {"logits": logits, "hidden": hidden, "moe": taps}

    def gates(self, tap):
        """[T,E]: the weight that multiplies each expert's output, 0 where not chosen."""
        return torch.zeros_like(tap["probs"]).scatter(1, tap["index"], tap["weights"])

    def mask(self, tap):
        return torch.zeros_like(tap["probs"]).scatter(1, tap["index"], 1.0)

    def mixer_gap(self, logits):
        """PhiMoE: how close any expert is to the bound of what counts as near the chosen one."""
        order = logits.argsort(-1, descending=True)
        least = float("inf")
        for n in (0, 1):
            best, rest = logits.gather(1, order[:, n:n + 1]), logits.gather(1, order[:, n + 1:])
            ratio = (best - rest) / torch.maximum(rest.abs(), best)
            least = min(least, (ratio - 2 * self.mixer).abs().min().item())
        return least

    def gap(self, runs):
        """The smallest distance between the last chosen and the first rejected selection score, and between groups; PhiMoE: and between its two, and of mixer_gap."""
        least = float("inf")
        for r in runs:
            for layer, t in r["moe"].items():
                s, g = self.selection(layer, t["probs"].detach())
                top = s.sort(-1, descending=True).values
                least = min(least, g)
                if self.mixer is not None:
                    least = min(least, (top[:, 0] - top[:, 1]).min().item(), self.mixer_gap(t["router_logits"].detach()))
                if self.k < self.experts:
                    d = (top[:, self.k - 1] - top[:, self.k])
                    least = min(least, d[torch.isfinite(d)].min().item() if torch.isfinite(d).any() else least)
                chosen = s.topk(self.k, -1)[1].sort(-1).values
                assert torch.equal(chosen, t["index"].sort(-1).values), f"layer {layer}: our reading of the selection is not the model's"
        return least

    # The trained tensors: halves/slices of the fused parameters and the router.
    def part(self, layer, expert, name, of=lambda p: p.data):
        x, router = self.blocks[layer].experts, self.routers[layer]
        m = x.down_proj.shape[-1]
        return {"gate": lambda: of(x.gate_up_proj)[expert, :m], "up": lambda: of(x.gate_up_proj)[expert, m:],
                "gate_up": lambda: of(x.gate_up_proj)[expert], "gate_up_bias": lambda: of(x.gate_up_proj_bias)[expert],
                "down": lambda: of(x.down_proj)[expert], "down_bias": lambda: of(x.down_proj_bias)[expert],
                "router": lambda: of(router.weight), "router_bias": lambda: of(router.bias)}[name]()

    def read(self, target):
        return {n: self.part(*target, n).clone() for n in self.parts}

    def write(self, target, weights):
        for n in self.parts:
            self.part(*target, n).copy_(weights[n])

    @contextlib.contextmanager
    def training(self, target):
        ps = [*self.blocks[target[0]].experts.parameters(), *self.routers[target[0]].parameters()]
        for p in ps:
            p.requires_grad_(True)
        try:
            yield lambda: [setattr(p, "grad", None) for p in ps]
        finally:
            for p in ps:
                p.requires_grad_(False)
                p.grad = None

    @contextlib.contextmanager
    def forbidden(self, target, by):
        """The target never chosen at its layer; by "score" (selection score -inf) or "logit" (router logit -inf)."""
        layer, expert = target
        gate = self.routers[layer]
        original = gate.forward

        def forward(x):
            logits = F.linear(x.reshape(-1, x.shape[-1]).float(), gate.weight.float(), getattr(gate, "bias", None))
            without = logits.index_fill(-1, torch.tensor([expert]), float("-inf"))
            if self.mixer is not None:
                from transformers.models.phimoe.modeling_phimoe import sparsemixer
                return logits if by == "score" else without, *sparsemixer(without, self.mixer, False)
            if by == "logit":
                logits = without
            s = logits.sigmoid() if self.sigmoid else logits.softmax(-1)
            choice, _ = self.selection(layer, s, expert)
            index = choice.topk(self.k, -1)[1]
            w = s.gather(1, index)
            if self.renormalise:
                w = w / (w.sum(-1, keepdim=True) + (1e-20 if self.sigmoid else 0.0))
            return logits, w * self.scale, index
        gate.forward = forward
        try:
            yield
        finally:
            del gate.forward
            assert gate.forward.__func__ is original.__func__


def nll(run, ids):
    lp = run["logits"].log_softmax(-1)
    t = torch.arange(1, len(ids))
    return torch.cat([torch.zeros(1), -lp[t - 1, torch.tensor(ids[1:])]])


def targets(seq):
    return [t for t in range(1, len(seq["ids"])) if seq["labels"][t] != -100]


def logp(run, seq):
    return -nll(run, seq["ids"])[targets(seq)].sum()


def pooled(runs, seqs):
    return sum(logp(r, s) for r, s in zip(runs, seqs)) / sum(len(targets(s)) for s in seqs)


def anchor(ref, runs, target, form):
    layer, expert = target
    rows = []
    for r in runs:
        t = r["moe"][layer]
        g = t["probs"] * ref.mask(t).detach() if form == "paper" else t["probs"]
        a = torch.zeros_like(g)
        a[:, expert] = 1.0
        rows.append((g - a) ** 2)
    d = torch.cat(rows)
    return d.sum(-1).mean() if form == "paper" else d.mean()


def loss_parts(ref, data, target, base, u):
    """All losses at the model's present weights; base = runs of the untouched checkpoint."""
    run = {s: [ref.run(q["ids"]) for q in data[s]] for s in ("forget", "retain")}
    lf = [logp(r, s) for r, s in zip(run["forget"], data["forget"])]
    lf0 = [logp(r, s).detach() for r, s in zip(base["forget"], data["forget"])]
    n = [len(targets(s)) for s in data["forget"]]
    out = {"ga": pooled(run["forget"], data["forget"]), "nll_retain": -pooled(run["retain"], data["retain"])}
    kl, kl_answer = [], []
    for r, b, s in zip(run["retain"], base["retain"], data["retain"]):
        p0, p = b["logits"].detach().log_softmax(-1), r["logits"].log_softmax(-1)
        k = (p0.exp() * (p0 - p)).sum(-1)
        kl.append(k)
        kl_answer.append(k[[t - 1 for t in targets(s)]])
    out["kl_retain"] = torch.cat(kl).mean()
    for b in NPO_BETAS:
        out[f"npo_{b:g}"] = -2 / b * torch.stack([F.logsigmoid(-b * (x - x0)) for x, x0 in zip(lf, lf0)]).mean()
    for name, (b, delta) in SIMNPO.items():
        out[name] = -2 / b * torch.stack([F.logsigmoid(-b / m * x - delta) for x, m in zip(lf, n)]).mean()
    h = {s: torch.cat([r["hidden"][target[0]] for r in run[s]]) for s in run}
    h0 = torch.cat([r["hidden"][target[0]] for r in base["retain"]]).detach()
    rmu_f = ((h["forget"] - RMU_C * u) ** 2).mean()
    rmu_r = RMU_LAMBDA * ((h["retain"] - h0) ** 2).mean()
    out["rmu"] = rmu_f + rmu_r
    out["anchor_paper"] = anchor(ref, run["forget"], target, "paper")
    out["anchor_released"] = anchor(ref, run["forget"], target, "released")
    extra = {"rmu_forget": rmu_f, "rmu_retain": rmu_r, "kl_retain_targets_only": torch.cat(kl_answer).mean()}
    sums = {s: [logp(r, q) for r, q in zip(run[s], data[s])] for s in run}
    return out, extra, sums, run


def overlap(ref, now, base):
    res = {}
    for s in ("forget", "retain"):
        per = {}
        for l in ref.layers:
            m = torch.cat([ref.mask(a["moe"][l]) * ref.mask(b["moe"][l]) for a, b in zip(now[s], base[s])])
            per[str(l)] = m.sum().item() / (ref.k * len(m))
        res[s] = {"mean": sum(per.values()) / len(per), "per_layer": per}
    return res


def attribution(ref, runs, score=lambda r: r["probs"]):
    """Eq. 2 per layer: (affinity, token share)."""
    aff, share = {}, {}
    for l in ref.layers:
        masks = [ref.mask(r["moe"][l]) for r in runs]
        aff[str(l)] = torch.stack([(score(r["moe"][l]) * m).mean(0) for r, m in zip(runs, masks)]).mean(0).tolist()
        share[str(l)] = (torch.cat(masks).double().sum(0) / (ref.k * sum(len(m) for m in masks))).tolist()
    return aff, share


def ranking(affinity, n=10):
    rows = [{"layer": int(l), "expert": e, "affinity": a} for l, v in affinity.items() for e, a in enumerate(v)]
    return sorted(rows, key=lambda r: (-r["affinity"], r["layer"], r["expert"]))[:n]


def trace(ref, data, target, base, u, kind, start):
    """STEPS AdamW steps on full batches; the losses before every update and after the last."""
    leaf = {n: t.clone().requires_grad_(True) for n, t in start.items()}
    opt = torch.optim.AdamW(leaf.values(), lr=LR, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.0)
    rows, after3, least = [], None, float("inf")
    for step in range(STEPS + 1):
        ref.write(target, {n: t.detach() for n, t in leaf.items()})
        if step == 3:
            after3 = ref.read(target)
        with ref.training(target) as clear:
            p, extra, _, run = loss_parts(ref, data, target, base, u)
            parts = ({"ga": p["ga"], "nll_retain": p["nll_retain"]} if kind == "ga" else
                     {"rmu_forget": extra["rmu_forget"], "rmu_retain": extra["rmu_retain"]}) | {"anchor_paper": p["anchor_paper"]}
            total = sum(parts.values())
            if step < STEPS:
                total.backward()
                for n, t in leaf.items():
                    t.grad = ref.part(*target, n, lambda q: q.grad).clone()
            clear()
        rows.append({"step": step, "total": total.item(), **{k: v.item() for k, v in parts.items()}})
        least = min(least, ref.gap(run["forget"] + run["retain"]))
        if step < STEPS:
            opt.step()
    final = ref.read(target)
    info = {"loss": "ga + 1.0*nll_retain + 1.0*anchor_paper" if kind == "ga" else "rmu_forget + rmu_retain (already times rmu_lambda) + 1.0*anchor_paper",
            "optimizer": {"name": "AdamW", "lr": LR, "betas": [0.9, 0.999], "eps": 1e-8, "weight_decay": 0.0, "steps": STEPS,
                          "batch": "all forget then all retain sequences, every step"},
            "steps": rows, "min_selection_gap": least, "overlap_after": overlap(ref, run, base)}
    return info, after3, final


def greedy(ref, prompt, n=8):
    ids, margins = list(prompt), []
    with torch.no_grad():
        for _ in range(n):
            top = ref.model(torch.tensor([ids]), use_cache=False).logits[0, -1].topk(2)
            ids.append(top.indices[0].item())
            margins.append((top.values[0] - top.values[1]).item())
        made = ref.model.generate(torch.tensor([prompt]), max_new_tokens=n, do_sample=False, eos_token_id=None, pad_token_id=0)[0].tolist()
    assert made == ids, "generate() with its cache differs from repeated forwards"
    return {"prompt": list(prompt), "continuation": ids[len(prompt):], "margins": margins}


def disk_name(folder, layer, expert, part):
    """The checkpoint's own name of a trained tensor; for a fused tensor the slice, `X[e,a:b,:]` for gate and up, `X[e]` for down."""
    from safetensors import safe_open
    names = {}
    for f in sorted(os.listdir(folder)):
        if f.endswith(".safetensors") and not f.startswith("golden"):
            with safe_open(os.path.join(folder, f), "pt") as s:
                names.update({k: s.get_slice(k).get_shape() for k in s.keys()})
    for mid in ("mlp", "block_sparse_moe"):
        at = f"model.layers.{layer}.{mid}."
        kind = ".bias" if part.endswith("_bias") else ".weight"
        for router in ("gate", "router"):
            if part.startswith("router") and at + router + kind in names:
                return at + router + kind
        if at + "experts.gate_up_proj_bias" in names and not part.startswith("router"):
            return f"{at}experts.{part.replace('gate_up', 'gate_up_proj').replace('down', 'down_proj')}[{expert}]"
        fused = at + "experts." + ("down_proj" if part == "down" else "gate_up_proj")
        if fused in names:
            if part == "down":
                return f"{fused}[{expert}]"
            m = names[fused][1] // 2
            return f"{fused}[{expert},{0 if part == 'gate' else m}:{m if part == 'gate' else 2 * m},:]"
        for n in ({"gate": "gate_proj", "up": "up_proj", "down": "down_proj"}.get(part), {"gate": "w1", "up": "w3", "down": "w2"}.get(part)):
            if f"{at}experts.{expert}.{n}.weight" in names:
                return f"{at}experts.{expert}.{n}.weight"
    raise SystemExit(f"{folder}: no tensor for layer {layer} expert {expert} {part}")


def measure(folder, data, prompt, u, perturb, name=None):
    """golden.json as a dict and golden.safetensors as {key: tensor} for a checkpoint folder.

    data {forget, retain: [{ids, labels}]}; u [d] the control vector; perturb(init tensors) -> the tensors of point "pert".
    """
    ref = Reference(folder)
    arrays = {}
    with torch.no_grad():
        base = {s: [ref.run(q["ids"]) for q in data[s]] for s in ("forget", "retain")}
        for s in base:
            for j, (r, q) in enumerate(zip(base[s], data[s])):
                at = f"{s}.{j}."
                arrays[at + "logits"] = r["logits"]
                arrays[at + "nll"] = nll(r, q["ids"])
                for l, h in r["hidden"].items():
                    arrays[f"{at}hidden.{l}"] = h
                for l, t in r["moe"].items():
                    g = ref.gates(t)
                    # PhiMoE's first expert may have the smaller weight; the mask breaks ties with unchosen experts whose gate is 0
                    order = ((g if ref.mixer is None else t["probs"]) + ref.mask(t)).sort(dim=-1, descending=True, stable=True).indices[:, :ref.k]
                    arrays[f"{at}layer.{l}.topk_index"] = order.to(torch.int32)
                    arrays[f"{at}layer.{l}.gates"] = g
                    for k in ("u", "router_logits", "probs", "moe_out"):
                        arrays[f"{at}layer.{l}.{k}"] = t[k]
        aff, share = attribution(ref, base["forget"])
        raff, rshare = attribution(ref, base["retain"])
        alt = attribution(ref, base["forget"], lambda t: t["router_logits"].softmax(-1))[0] if ref.sigmoid else None
    rank = ranking(aff)
    target = (rank[0]["layer"], rank[0]["expert"])
    routed = {s: int(sum(ref.mask(r["moe"][target[0]])[:, target[1]].sum().item() for r in base[s])) for s in base}
    bias_tokens = None
    if ref.sigmoid:
        with torch.no_grad():
            bias_tokens = 0
            kept = {l: b.e_score_correction_bias.clone() for l, b in ref.routers.items()}
            for r in base["forget"]:
                for l, t in r["moe"].items():
                    ref.routers[l].e_score_correction_bias.zero_()
                    plain = ref.selection(l, t["probs"])[0].topk(ref.k, -1)[1].sort(-1).values
                    ref.routers[l].e_score_correction_bias.copy_(kept[l])
                    bias_tokens += int((plain != t["index"].sort(-1).values).any(-1).sum())
    init = ref.read(target)
    weights = {"init": init, "pert": perturb(init)}
    traces = {}
    for kind in ("ga", "rmu"):
        traces[kind], after3, final = trace(ref, data, target, base, u, kind, init)
        weights[f"trace_{kind}_final"] = final
        if kind == "ga":
            weights["step3"] = after3
    points, at_pert = {}, None
    for point in ("init", "pert", "step3"):
        ref.write(target, weights[point])
        with ref.training(target) as clear:
            parts, extra, sums, run = loss_parts(ref, data, target, base, u)
            for k in LOSSES:
                clear()
                parts[k].backward(retain_graph=True)
                for n in ref.parts:
                    g = ref.part(*target, n, lambda p: p.grad if p.grad is not None else torch.zeros_like(p))
                    if (k.startswith("anchor") and not n.startswith("router")) or (point == "init" and k == "kl_retain"):
                        assert k == "kl_retain" or not g.abs().max()
                        continue
                    if point != "step3" or k == "kl_retain" or k.startswith("npo"):
                        arrays[f"grad.{point}.{k}.{n}"] = g.clone()
        points[point] = {"loss": {k: v.item() for k, v in parts.items()}, "extra": {k: v.item() for k, v in extra.items()},
                         "logp_sum": {s: [x.item() for x in v] for s, v in sums.items()}, "min_selection_gap": ref.gap(run["forget"] + run["retain"])}
        if point == "pert":
            at_pert = overlap(ref, run, base)
    ref.write(target, init)
    forced = {"forget_nll_unforced": -points["init"]["loss"]["ga"]}
    with torch.no_grad():
        for by in ("score", "logit")[: 1 if ref.sigmoid else 2]:
            with ref.forbidden(target, by):
                runs = [ref.run(q["ids"]) for q in data["forget"]]
            assert not any(ref.mask(r["moe"][target[0]])[:, target[1]].any() for r in runs)
            forced[f"{by}_mask"] = {"forget_nll": -pooled(runs, data["forget"]).item(),
                                    "per_sequence_nll_sum": [-logp(r, q).item() for r, q in zip(runs, data["forget"])]}
    for point, ws in weights.items():
        for n, t in ws.items():
            arrays[f"weights.{point}.{n}"] = t
    arrays["rmu_u"] = u
    import transformers
    from safetensors import safe_open
    files = [f for f in sorted(os.listdir(folder)) if f.endswith(".safetensors") and not f.startswith("golden")]
    with safe_open(os.path.join(folder, files[0]), "pt") as s:
        stored = str(s.get_tensor(list(s.keys())[0]).dtype).removeprefix("torch.")
    gold = {
        "family": ref.family, "fixture": name or os.path.basename(os.path.normpath(folder)),
        "made_with": {"torch": torch.__version__.split("+")[0], "transformers": transformers.__version__, "compute_dtype": "float32",
                      "stored_dtype": stored, "attention": "eager", "experts": "eager", "model_mode": "eval"},
        "moe_layers": ref.layers, "num_experts": ref.experts, "top_k": ref.k, "score_function": "sigmoid" if ref.sigmoid else "softmax",
        "gating": ref.gating_text(), "input": {**data, "prompt": list(prompt)},
        "min_selection_gap": points["init"]["min_selection_gap"],
        "logits_std": torch.cat([r["logits"] for r in base["forget"]]).std().item(),
        "tokens_where_correction_bias_changes_topk": bias_tokens,
        "attribution": {"form": f"{'sigmoid' if ref.sigmoid else 'softmax'} score masked to the selected top-K, before renormalising and scaling; "
                        "all L_j tokens of a sequence count; mean over tokens, then over sequences",
                        "affinity": aff, "token_share": share, "retain_affinity": raff, "retain_token_share": rshare, "ranking": rank,
                        "alternative": None if alt is None else {
                            "note": "not the golden form: softmax of the router logits, masked to the experts really chosen", "affinity": alt}},
        "target": {"layer": target[0], "expert": target[1], "affinity": rank[0]["affinity"],
                   "margin_to_second": rank[0]["affinity"] - rank[1]["affinity"],
                   "forget_tokens_routed": routed["forget"], "retain_tokens_routed": routed["retain"]},
        "trainable": {n: {"disk": disk_name(folder, *target, n), "shape": list(init[n].shape)} for n in ref.parts},
        "constants": {"npo_betas": list(NPO_BETAS), "simnpo_beta": 4.5, "simnpo_delta": 0.0, "simnpo_beta0.2": {"beta": 0.2, "delta": 0.0},
                      "simnpo_delta24": {"beta": 4.5, "delta": 24.0}, "rmu_c": RMU_C, "rmu_lambda": RMU_LAMBDA, "rmu_layer": target[0],
                      "lambda": 1.0, "alpha": 1.0},
        "points": points, "overlap_at_pert": at_pert, "trace": traces, "forced": forced, "greedy": greedy(ref, prompt),
    }
    return gold, {k: v.detach().contiguous() for k, v in arrays.items()}


def rounded(v):
    """Numbers with 9 significant digits, as in the golden files."""
    if isinstance(v, dict):
        return {str(k): rounded(x) for k, x in v.items()}
    if isinstance(v, (list, tuple)):
        return [rounded(x) for x in v]
    return float(f"{v:.9g}") if isinstance(v, float) else v


def write_golden(folder, gold, arrays):
    from safetensors.torch import save_file
    save_file(arrays, os.path.join(folder, "golden.safetensors"))
    with open(os.path.join(folder, "golden.json"), "w") as f:
        json.dump(rounded(gold), f, indent=1)
        f.write("\n")
