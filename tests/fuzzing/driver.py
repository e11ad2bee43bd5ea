"""Looks for bytes that a reader neither reads nor refuses in one sentence.

    python tests/fuzzing/driver.py NAME SECONDS FOLDER

By atheris where it is installed, which sees what code an input reaches, and else by hypothesis. What is found
lies in FOLDER/found; mend the reader, and keep the file in `corpus/NAME/`, which every test reads first.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from dnw_graph.errors import InputError

HERE = Path(__file__).resolve().parent
MEMORY_MB, SECONDS_OF_ONE = 4096, 60
"""What one input of at most 16 kB may cost under atheris; torch takes a part of the memory."""

TOKENS = [
    *(
        b"&a ",
        b"*a",
        b"[",
        b"{",
        b"<<: ",
        b"!!int ",
        b"? ",
        b"- ",
        b"|",
        b"\n",
        b"\0",
        b"\xff\xfe",
        b"\xed\xa0\x80",
    ),
    *(
        b"9" * 30,
        b"-1",
        b"NaN",
        b"1e999",
        b"null",
        b'""',
        b"\\ud800",
        b"<!DOCTYPE a>",
        b"&lt;",
        b'"a":1,',
        b",",
    ),
    *(b"\xff" * 4, b"\0" * 4, b"\x7f\xff\xff\xff", b"\x80" + b"\0" * 7, b"(" * 60, b"cos\nsystem\n"),
]
edits = st.lists(
    st.tuples(
        st.floats(0, 1),
        st.one_of(st.integers(0, 8), st.integers(0, 1 << 20)),
        st.one_of(st.binary(max_size=8), st.lists(st.sampled_from(TOKENS), max_size=3).map(b"".join)),
    ),
    min_size=1,
    max_size=3,
)


def changed(data: bytes, places: list[tuple[float, int, bytes]]) -> bytes:
    """Bytes with others in the place of some: (where, as a share of the length; how many go; what comes)."""
    for at, gone, new in places:
        start = int(at * len(data))
        data = data[:start] + new + data[start + gone :]
    return data


def check(read: Callable[[bytes], object], data: bytes) -> None:
    """There is a value, or one sentence."""
    said = ""
    try:
        read(data)
    except InputError as error:
        said = str(error)
    assert "\n" not in said
    assert len(said) < 2000


def kept(name: str) -> list[bytes]:
    """Cases that were found once."""
    return [path.read_bytes() for path in sorted((HERE / "corpus" / name).glob("*"))]


def by_hypothesis(read: Callable[[bytes], object], seeds: list[bytes], seconds: float, found: Path) -> None:
    """Round after round, each with random numbers of its own, the same in every call."""
    end, number = time.monotonic() + seconds, 0
    while time.monotonic() < end:

        @seed(number)
        @settings(
            max_examples=100,
            deadline=None,
            database=None,
            phases=[Phase.generate, Phase.shrink],
            suppress_health_check=list(HealthCheck),
        )
        @given(st.sampled_from(seeds), edits)
        def law(whole: bytes, places: list[tuple[float, int, bytes]]) -> None:
            data = changed(whole, places)
            try:
                check(read, data)
            except BaseException:
                found.mkdir(exist_ok=True)
                (found / "case").write_bytes(data)
                raise

        law()
        number += 1


def by_atheris(
    make: Callable[[], tuple[list[bytes], Callable[[bytes], object]]], name: str, folder: Path
) -> None:
    """Does not come back: libFuzzer ends the process, with 0 if nothing was found."""
    import atheris

    seeds, read = make()
    for place in ("found", "met"):
        (folder / place).mkdir()
    for number, data in enumerate([*seeds, *kept(name)]):
        (folder / "met" / f"seed_{number}").write_bytes(data)
    limits = [f"-max_total_time={sys.argv[2]}", f"-rss_limit_mb={MEMORY_MB}", f"-timeout={SECONDS_OF_ONE}"]
    # Parsers in C show no coverage: without seeds that stay, all that is left are a few bytes.
    search = ["-keep_seed=1", "-reduce_inputs=0", "-len_control=0", "-max_len=16384", f"-dict={folder}/words"]
    words = ("".join(f"\\x{byte:02x}" for byte in token) for token in TOKENS)
    (folder / "words").write_text("".join(f'"{word}"\n' for word in words))
    put = ["-print_final_stats=1", f"-artifact_prefix={folder}/found/"]
    atheris.Setup(
        [sys.argv[0], str(folder / "met"), *limits, *search, *put], lambda data: check(read, bytes(data))
    )
    atheris.Fuzz()


def main() -> None:
    name, seconds, folder = sys.argv[1], float(sys.argv[2]), Path(sys.argv[3]).resolve()
    (folder / "files").mkdir(parents=True)
    if find_spec("atheris") is None:
        from readers import READERS

        seeds, read = READERS[name](folder / "files")
        by_hypothesis(read, seeds + kept(name), seconds, folder / "found")
        return
    import atheris

    # Before anything of the package is imported; what it imports from elsewhere is not watched.
    with atheris.instrument_imports(include=["dnw_graph"], enable_loader_override=False):
        from readers import READERS
    by_atheris(lambda: READERS[name](folder / "files"), name, folder)


if __name__ == "__main__":
    main()
