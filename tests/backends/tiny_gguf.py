"""Writes a tiny llama model with random weights as a GGUF file: real tokens, real sampling, no meaning, no download.

Source: the GGUF specification, version 3. The vocabulary is one token a byte (GPT-2's byte alphabet) and a few control
tokens. Hidden dimension 0 is a constant that no layer writes to; through it the output layer rules out every token that
is not printable ASCII, so that whatever is sampled is text, and generation ends only at its limit.
"""

from __future__ import annotations

import random
import struct
import sys
from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

__all__ = ["write_tiny_model"]

WIDTH, LAYERS, HEADS, FEED_FORWARD, CONTEXT = 64, 2, 4, 128, 131_072
CONTROL = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message.role }}\n{{ message.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
ALIGNMENT = 32
#: how strongly the constant dimension speaks against a token
RULED_OUT = -100.0

UINT32, FLOAT32, BOOL, STRING, ARRAY, INT32 = 4, 6, 7, 8, 9, 5
NORMAL, CONTROL_TYPE = 1, 3


@dataclass(frozen=True)
class Tensor:
    """A named matrix in GGUF's order: the fastest dimension first."""

    name: str
    shape: tuple[int, ...]
    values: array[float]


def byte_alphabet() -> list[str]:
    """GPT-2's printable stand-in for each byte value."""
    plain = {*range(33, 127), *range(161, 173), *range(174, 256)}
    moved = iter(range(256, 512))
    return [chr(value) if value in plain else chr(next(moved)) for value in range(256)]


def tensors(generator: random.Random, vocabulary: int, banned: set[int]) -> Iterator[Tensor]:
    """All weights, in the order they are written."""

    def noise(columns: int, rows: int) -> array[float]:
        return array("f", (generator.gauss(0.0, 0.08) for _ in range(columns * rows)))

    def leaving_constant(columns: int) -> array[float]:
        """A matrix whose first row is zero, so that dimension 0 keeps its value."""
        weights = noise(columns, WIDTH)
        weights[:columns] = array("f", bytes(4 * columns))
        return weights

    ones = array("f", [1.0] * WIDTH)
    embedding, output = noise(WIDTH, vocabulary), noise(WIDTH, vocabulary)
    for token in range(vocabulary):
        embedding[token * WIDTH] = 1.0
        output[token * WIDTH] = RULED_OUT if token in banned else 0.0
    yield Tensor("token_embd.weight", (WIDTH, vocabulary), embedding)
    yield Tensor("output.weight", (WIDTH, vocabulary), output)
    yield Tensor("output_norm.weight", (WIDTH,), ones)
    for layer in range(LAYERS):
        prefix = f"blk.{layer}."
        for name in ("attn_norm", "ffn_norm"):
            yield Tensor(f"{prefix}{name}.weight", (WIDTH,), ones)
        for name in ("attn_q", "attn_k", "attn_v"):
            yield Tensor(f"{prefix}{name}.weight", (WIDTH, WIDTH), noise(WIDTH, WIDTH))
        yield Tensor(f"{prefix}attn_output.weight", (WIDTH, WIDTH), leaving_constant(WIDTH))
        for name in ("ffn_gate", "ffn_up"):
            yield Tensor(f"{prefix}{name}.weight", (WIDTH, FEED_FORWARD), noise(WIDTH, FEED_FORWARD))
        yield Tensor(f"{prefix}ffn_down.weight", (FEED_FORWARD, WIDTH), leaving_constant(FEED_FORWARD))


def text(value: str) -> bytes:
    encoded = value.encode()
    return struct.pack("<Q", len(encoded)) + encoded


def entry(key: str, kind: int, packed: bytes) -> bytes:
    return text(key) + struct.pack("<I", kind) + packed


def listing(kind: int, items: list[bytes]) -> bytes:
    return struct.pack("<IQ", kind, len(items)) + b"".join(items)


def metadata(vocabulary: list[str]) -> list[bytes]:
    numbers = {
        "llama.context_length": CONTEXT,
        "llama.embedding_length": WIDTH,
        "llama.block_count": LAYERS,
        "llama.feed_forward_length": FEED_FORWARD,
        "llama.attention.head_count": HEADS,
        "llama.attention.head_count_kv": HEADS,
        "llama.rope.dimension_count": WIDTH // HEADS,
        "llama.vocab_size": len(vocabulary),
        "general.alignment": ALIGNMENT,
        "general.file_type": 0,
        "tokenizer.ggml.bos_token_id": vocabulary.index(CONTROL[0]),
        "tokenizer.ggml.eos_token_id": vocabulary.index(CONTROL[2]),
    }
    texts = {
        "general.architecture": "llama",
        "general.name": "tiny-random-llama",
        "tokenizer.ggml.model": "gpt2",
        "tokenizer.ggml.pre": "gpt-2",
        "tokenizer.chat_template": TEMPLATE,
    }
    kinds = [struct.pack("<i", CONTROL_TYPE if token in CONTROL else NORMAL) for token in vocabulary]
    merges = [text(f"{first} {second}") for first, second in (("t", "h"), ("h", "e"))]
    return [
        *(entry(key, STRING, text(value)) for key, value in texts.items()),
        *(entry(key, UINT32, struct.pack("<I", value)) for key, value in numbers.items()),
        entry("llama.attention.layer_norm_rms_epsilon", FLOAT32, struct.pack("<f", 1e-5)),
        entry("tokenizer.ggml.add_bos_token", BOOL, b"\0"),
        entry("tokenizer.ggml.tokens", ARRAY, listing(STRING, [text(token) for token in vocabulary])),
        entry("tokenizer.ggml.token_type", ARRAY, listing(INT32, kinds)),
        entry("tokenizer.ggml.merges", ARRAY, listing(STRING, merges)),
    ]


def padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % ALIGNMENT)


def write_tiny_model(path: Path, seed: int = 0) -> None:
    """Write the model, about 0.6 MB; the same seed gives the same bytes."""
    letters = byte_alphabet()
    vocabulary = [*CONTROL, *letters, "th", "he"]
    printable = {letters[value] for value in range(32, 127)}
    banned = {index for index, token in enumerate(vocabulary) if token not in printable}
    weights = list(tensors(random.Random(seed), len(vocabulary), banned))
    settings = metadata(vocabulary)
    head, data = [struct.pack("<4sIQQ", b"GGUF", 3, len(weights), len(settings)), *settings], bytearray()
    for tensor in weights:
        shape = struct.pack(f"<I{len(tensor.shape)}Q", len(tensor.shape), *tensor.shape)
        head.append(text(tensor.name) + shape + struct.pack("<IQ", 0, len(data)))
        data += padded(tensor.values.tobytes())
    path.write_bytes(padded(b"".join(head)) + bytes(data))


if __name__ == "__main__":
    write_tiny_model(Path(sys.argv[1]))
