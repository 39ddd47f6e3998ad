#!/usr/bin/env python3
"""Can a classifier tell generated requests from those of a public trace?

usage: discriminator.py TRACE.csv GENERATED.ndjson [--every N] [--csv LABEL]

TRACE.csv is a trace of AzurePublicDataset (TIMESTAMP,ContextTokens,GeneratedTokens); lines that
begin with # are skipped. GENERATED.ndjson is the output of `vm4-producer generate --values` of one
workload at the trace's rate. --every N keeps every Nth generated request, for a trace that was
thinned so. --csv prints lines of LABEL, what was judged and its area instead. Needs Python 3.11, numpy 2.4.6 and scikit-learn 1.9.1.

It prints the area under the ROC curve for single requests, and for windows of 20 and of 50 of them,
without and with the gaps between them: 0.5 is a guess, 1.0 tells them apart. Blocks of time are held
out in turn, and the classifier never sees a block that it is judged on.
"""

import argparse
import json
from datetime import datetime

import numpy as np
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import roc_auc_score

BLOCKS, FOLDS = 24, 4

# Where classes of requests begin, in tokens.
PROMPTS = [101, 181, 182, 223, 360, 481, 800, 1300, 1336, 1501, 2600, 4070, 4111, 7400]
COMPLETIONS = [10, 20, 26, 60, 100, 140, 217, 218, 300, 390, 420, 500, 681]


def seconds(text):
    """Seconds of a timestamp, with as many digits as it has."""
    date, _, fraction = text.rstrip("Z").replace("T", " ").partition(".")
    return datetime.fromisoformat(date).timestamp() + float(f"0.{fraction or 0}")


def trace(path):
    """Times, prompts and completions of a trace."""
    with open(path, encoding="utf-8") as lines:
        rows = [line.strip().split(",") for line in lines if line.strip() and line[0] != "#"]
    return columns((seconds(at), int(prompt), int(completion)) for at, prompt, completion in rows[1:])


def generated(path, every):
    """The same of the program's output."""
    with open(path, encoding="utf-8") as lines:
        events = [json.loads(line) for line in lines]
    usage = [event for event in events if "prompt_tokens" in event]
    rows = [(seconds(e["ts"]), e["prompt_tokens"], e["completion_tokens"]) for e in usage]
    return columns(sorted(rows, key=lambda row: row[0])[::every])


def columns(rows):
    time, prompt, completion = np.array(list(rows), dtype=float).T
    return {"gap": np.diff(time, prepend=time[0]), "prompt": prompt, "completion": completion}


def single(data):
    return np.stack([data["prompt"], data["completion"], data["prompt"] - data["completion"]], axis=1)


def windows(data, size, gaps):
    """What a window looks like: spread, order, repeats, and how many are in each class."""
    count = len(data["prompt"]) // size
    sides = {name: side[: count * size].reshape(count, size) for name, side in data.items()}
    features = []
    logs = [np.log(sides["prompt"]), np.log(sides["completion"])]
    if gaps:
        logs.append(np.log(np.round(sides["gap"], 3) + 0.0005))
    for side in logs:
        features += list(np.quantile(side, np.linspace(0, 1, 21), axis=1))
        features += [side.mean(1), side.std(1), np.abs(np.diff(side, axis=1)).mean(1)]
        centred = side - side.mean(1, keepdims=True)
        spread = (centred**2).sum(1) + 1e-9
        for lag in (1, 2, 3, 5):
            features.append((centred[:, lag:] * centred[:, :-lag]).sum(1) / spread)
    one, other = (side - side.mean(1, keepdims=True) for side in logs[:2])
    both = np.sqrt((one**2).sum(1) * (other**2).sum(1)) + 1e-9
    features.append((one * other).sum(1) / both)
    for side in (sides["prompt"], sides["completion"]):
        for steps in (np.diff(np.sort(side, axis=1), axis=1), np.diff(side, axis=1)):
            close = [steps == 0, np.abs(steps) <= 4, (steps > 0) & (steps <= 10)]
            features += [held.sum(1) for held in close]
    features += [(sides["prompt"] >= edge).sum(1) for edge in PROMPTS]
    features += [(sides["completion"] >= edge).sum(1) for edge in COMPLETIONS]
    return np.stack(features, axis=1)


def auc(real, made):
    """Mean over the folds."""
    x = np.concatenate([real, made])
    y = np.repeat([0, 1], [len(real), len(made)])
    block = np.concatenate([np.arange(len(part)) * BLOCKS // len(part) for part in (real, made)])
    order, areas = np.random.default_rng(0).permutation(BLOCKS), []
    for fold in range(FOLDS):
        held_out = np.isin(block, order[fold::FOLDS])
        model = HistGradientBoostingClassifier(
            max_iter=150, learning_rate=0.06, max_leaf_nodes=15, l2_regularization=1.0, random_state=0
        ).fit(x[~held_out], y[~held_out])
        areas.append(roc_auc_score(y[held_out], model.predict_proba(x[held_out])[:, 1]))
    return np.mean(areas)


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("trace")
    parser.add_argument("generated")
    parser.add_argument("--every", type=int, default=1)
    parser.add_argument("--csv", metavar="LABEL")
    options = parser.parse_args()
    real, made = trace(options.trace), generated(options.generated, options.every)
    areas = {"single requests": auc(single(real), single(made))}
    for size in (20, 50):
        for gaps in (False, True):
            area = auc(windows(real, size, gaps), windows(made, size, gaps))
            areas[f"windows of {size}{' with gaps' if gaps else ''}"] = area
    if not options.csv:
        print(f"{len(real['gap'])} requests of the trace, {len(made['gap'])} generated; AUC:")
    for what, area in areas.items():
        print(f"{options.csv},{what},{area:.3f}" if options.csv else f"  {what:24}{area:.3f}")


if __name__ == "__main__":
    main()
