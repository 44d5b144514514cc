"""Writes test/fixtures/variants: tiny random checkpoints and what transformers says about them.

    python tools/reference/make_golden.py            all of variants.py
    python tools/reference/make_golden.py NAME ...   some of them
    python tools/reference/validate.py test/fixtures/variants/*/     recomputes them from disk

A seed is taken only if the fixture is a fair test: no token near a routing tie at any point of a trace, a clear target, greedy tokens with a margin.
"""
import json
import os
import shutil
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
import torch
from moe_reference import Reference, greedy, measure, write_golden
from variants import VARIANTS

OUT = os.path.normpath(os.path.join(HERE, "../../test/fixtures/variants"))
LENGTHS = {"forget": ((7, 3), (10, 4), (5, 2)), "retain": ((8, 3), (6, 2))}
# The gradients kept in golden.safetensors; the rest is covered by the six big fixtures.
KEPT = {"init": ("ga", "npo_0.1", "rmu", "anchor_paper"),
        "pert": ("ga", "nll_retain", "kl_retain", "npo_0.1", "npo_0.001", "simnpo_beta0.2", "simnpo_delta24", "rmu", "anchor_paper", "anchor_released"),
        "step3": ("kl_retain", "npo_0.1")}


def randomise(model, config, g):
    """Weights such that every part of the forward matters: norms and biases away from 1 and 0, logits of about unit size."""
    for name, p in sorted(list(model.named_parameters()) + [(n, b) for n, b in model.named_buffers() if n.endswith("e_score_correction_bias")]):
        r = torch.randn(p.shape, generator=g)
        fan = p.shape[-1] ** -0.5
        if config["model_type"] == "gpt_oss" and ".experts." in name:
            fan = p.shape[1] ** -0.5
        if name.endswith("e_score_correction_bias"):
            v = 0.15 * r
        elif name.endswith("bias"):
            v = 0.3 * r
        elif "norm" in name:
            v = 1 + 0.2 * r
        elif name.endswith("sinks"):
            v = r
        elif "embed_tokens" in name:
            v = r if not config["tie_word_embeddings"] else 0.25 * r
        elif "experts.down_proj" in name and "shared" not in name:
            v = 2.5 * fan * r / max(1.0, config.get("routed_scaling_factor", 1.0)) ** 0.5
        else:
            v = fan * r * (1.5 if "gate.weight" in name or "router.weight" in name or "q_" in name or "k_proj" in name else 1.3 if "lm_head" in name else 1.2)
        p.copy_(v)


def build(folder, variant, seed):
    """config.json and the weights of a random checkpoint in `folder`."""
    import transformers
    from safetensors.torch import load_file, save_file
    config = variant["config"]
    with open(os.path.join(folder, "config.json"), "w") as f:
        json.dump(config, f, indent=2)
        f.write("\n")
    dtype = getattr(torch, variant.get("dtype", "float32"))
    g = torch.Generator().manual_seed(seed)
    model = transformers.AutoModelForCausalLM.from_config(transformers.AutoConfig.from_pretrained(folder), dtype=torch.float32)
    with torch.no_grad():
        randomise(model, config, g)
    with tempfile.TemporaryDirectory() as t:
        model.save_pretrained(t, save_original_format=variant.get("layout", "hub") == "hub")
        state = load_file(os.path.join(t, "model.safetensors"))
    state = {k: v if k.endswith("e_score_correction_bias") else v.to(dtype) for k, v in state.items()}
    if variant.get("mtp"):
        n, d = config["num_hidden_layers"], config["hidden_size"]
        state |= {f"model.layers.{n}.{k}": torch.randn(s, generator=g).to(dtype) for k, s in
                  {"enorm.weight": [d], "hnorm.weight": [d], "eh_proj.weight": [d, 2 * d], "mlp.experts.0.gate_proj.weight": [4, d]}.items()}
    shards = variant.get("shards", 1)
    if shards == 1:
        save_file(state, os.path.join(folder, "model.safetensors"), metadata={"format": "pt"})
        return
    total = sum(v.numel() * v.element_size() for v in state.values())
    parts, seen = [{} for _ in range(shards)], 0
    for k in sorted(state):
        parts[min(shards - 1, seen * shards // total)][k] = state[k]
        seen += state[k].numel() * state[k].element_size()
    where = {}
    for i, part in enumerate(parts):
        name = f"model-{i + 1:05d}-of-{shards:05d}.safetensors"
        save_file(part, os.path.join(folder, name), metadata={"format": "pt"})
        where |= dict.fromkeys(part, name)
    with open(os.path.join(folder, "model.safetensors.index.json"), "w") as f:
        json.dump({"metadata": {"total_size": total}, "weight_map": dict(sorted(where.items()))}, f, indent=2)
        f.write("\n")


def rows(folder, g, vocabulary):
    """Sequences that are nowhere near a routing tie, and a prompt whose greedy tokens are clear; None if 60 draws hold none."""
    ref = Reference(folder)
    data = {"forget": [], "retain": []}
    with torch.no_grad():
        for s, shapes in LENGTHS.items():
            for n, prompt in shapes:
                for _ in range(60):
                    ids = torch.randint(3, vocabulary, (n,), generator=g).tolist()
                    if ref.gap([ref.run(ids)]) > 1e-3:
                        break
                else:
                    return None
                labels = [-100] * prompt + ids[prompt:]
                if n == max(x for x, _ in LENGTHS["forget"]):
                    labels[-3] = -100
                data[s].append({"ids": ids, "labels": labels})
        for _ in range(60):
            prompt = torch.randint(3, vocabulary, (6,), generator=g).tolist()
            made = greedy(ref, prompt)
            if min(made["margins"]) > 0.03 and 2 not in made["continuation"] and len(set(made["continuation"])) > 4:
                return data, prompt
    return None


def complaints(gold):
    g, t = gold, gold["target"]
    least = min([g["min_selection_gap"], *(p["min_selection_gap"] for p in g["points"].values()), *(x["min_selection_gap"] for x in g["trace"].values())])
    tests = {"routing nearly tied": g["min_selection_gap"] < 1e-3 or least < 5e-5, "target unclear": t["margin_to_second"] < 5e-3,
             "target little used": t["forget_tokens_routed"] < 5 or t["retain_tokens_routed"] < 3 or t["forget_tokens_routed"] > 20,
             "logits size": not 0.6 < g["logits_std"] < 2.5,
             "overlap untouched": g["overlap_at_pert"]["forget"]["mean"] == 1}
    return [k for k, bad in tests.items() if bad]


def make(name, variant):
    folder = os.path.join(OUT, name)
    for seed in range(40):
        shutil.rmtree(folder, ignore_errors=True)
        os.makedirs(folder)
        build(folder, variant, seed)
        g = torch.Generator().manual_seed(1000 + seed)
        drawn = rows(folder, g, variant["config"]["vocab_size"])
        if drawn is None:
            print(f"  {name} seed {seed}: no fair sequences", flush=True)
            continue
        data, prompt = drawn
        u = torch.rand(variant["config"]["hidden_size"], generator=g)
        noise = torch.Generator().manual_seed(2000 + seed)
        gold, arrays = measure(folder, data, prompt, u / u.norm(), lambda init: {
            n: t + (0.25 if n.startswith("router") else 0.4) * t.std() * torch.randn(t.shape, generator=noise) for n, t in init.items()}, name)
        why = complaints(gold)
        if not why:
            break
        print(f"  {name} seed {seed}: {', '.join(why)}", flush=True)
    else:
        raise SystemExit(f"{name}: no fair seed")
    gold = {"family": gold.pop("family"), "fixture": name, "what": variant["what"], "seed": seed, **gold}
    kept = {k: v for k, v in arrays.items() if not k.startswith("grad.") or k.split(".", 2)[2].rsplit(".", 1)[0] in KEPT[k.split(".")[1]]}
    write_golden(folder, gold, kept)
    size = sum(os.path.getsize(os.path.join(folder, f)) for f in os.listdir(folder))
    print(f"{name}: seed {seed}, gap {gold['min_selection_gap']:.2g}, target {gold['target']['layer']}/{gold['target']['expert']}, {size // 1000} kB", flush=True)


if __name__ == "__main__":
    for name in sys.argv[1:] or VARIANTS:
        make(name, VARIANTS[name])
