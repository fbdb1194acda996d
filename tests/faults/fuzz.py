"""Look for bytes that a decoder neither reads nor refuses, led by what they reach: `python -m tests.faults.fuzz ...`.

`DECODER COUNT SEED DIRECTORY` tries so many inputs, made from the decoder's seeds by libFuzzer, which keeps those that
reach something new. An input that fails is left in the directory as `crash-...`, and the exit code is not 0; move it
to `found/DECODER-NAME`, and it is tried in every run of the tests.
"""

from __future__ import annotations

import sys
from pathlib import Path

import atheris

from tests.faults.decoders import DECODERS, found


def main(name: str, count: str, seed: str, directory: str) -> None:
    """Try so many inputs; ends the process."""
    with atheris.instrument_imports(include=["msq_jupyter", "websockets.frames", "websockets.protocol"]):
        decoder = DECODERS[name]()
    corpus = Path(directory, "corpus")
    corpus.mkdir()
    for number, data in enumerate([*decoder.seeds, *found(name)]):
        (corpus / str(number)).write_bytes(data)
    drawn = [f"-runs={count}", f"-seed={int(seed) % 2**31 + 1}", f"-artifact_prefix={directory}/"]
    # Seeds of decoders in C reach nothing new that is seen here, and are kept all the same.
    limits = ["-keep_seed=1", "-max_len=8192", "-timeout=20", "-rss_limit_mb=1000"]
    atheris.Setup([sys.argv[0], *drawn, *limits, str(corpus)], decoder.read)
    atheris.Fuzz()


if __name__ == "__main__":
    main(*sys.argv[1:])
