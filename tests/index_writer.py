"""A process that changes an index of vectors until it is killed, and says what is done.

Run as ``python tests/index_writer.py PATH SEED``. Each line it prints is a change that was made: an
identifier and the version of its vector, -1 where it was removed.
"""

import sys
from pathlib import Path

import numpy as np

from doorbell.domain import Float32Array
from doorbell.recognition.mapped_index import MappedIndex

MODEL = "test"
IDENTIFIERS = 400
GONE = -1


def face(vector_id: int, version: int) -> Float32Array:
    """The vector of an identifier and version, (128,) float32."""
    generator = np.random.default_rng([vector_id, version])
    vector = generator.standard_normal(128).astype(np.float32)
    return np.asarray(vector / np.linalg.norm(vector), np.float32)


def main(path: Path, seed: int) -> None:
    """Change one after the other."""
    generator = np.random.default_rng(seed)
    index = MappedIndex.open(path, MODEL, writes=True)
    version = 1_000 * seed
    while True:
        vector_id = int(generator.integers(IDENTIFIERS))
        version += 1
        if generator.random() < 0.2:
            index.remove(vector_id)
            sys.stdout.write(f"{vector_id} {GONE}\n")
        else:
            index.put(vector_id, face(vector_id, version))
            sys.stdout.write(f"{vector_id} {version}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
