"""Names of owners: what is accepted, and what identifiers of other programs become."""

from __future__ import annotations

import pytest

from agb import Owner
from agb._wire.labels import OWNER, PART
from agb.owned import LONGEST


def test_owner_is_found_by_its_labels() -> None:
    assert Owner("bench", "run").labels == {OWNER: "bench:run"}
    assert Owner("bench", "run", "task/1").labels == {OWNER: "bench:run", PART: "task/1"}
    assert str(Owner("bench", "run", "task/1")) == "bench:run"


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (("", "run"), "the kind of an owner is one line"),
        (("bench", "a\nb"), "the id of an owner is one line"),
        (("bench", "run", " "), "the part of an owner is one line"),
        (("bench", "x" * (LONGEST + 1)), "the id of an owner is one line of 1 to 128"),
    ],
)
def test_names_that_cannot_be_found_again_are_refused(wrong: tuple[str, ...], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        Owner(*wrong)


def test_identifiers_of_other_programs_become_names() -> None:
    assert Owner.from_ids("bench", "run-1", "task", 7) == Owner("bench", "run-1", "task/7")
    assert Owner.from_ids("bench", "run-1") == Owner("bench", "run-1")
    samples = ("a\nb", "a\tb", " a-b", "x" * 500, "x" * 501, "\ud800")
    odd = [Owner.from_ids("bench", "run", sample) for sample in samples]
    assert len({owner.part for owner in odd}) == len(odd)
    assert all(len(owner.part) <= LONGEST for owner in odd)
    assert odd[0].part.startswith("a-b~")
    assert Owner.from_ids("bench", "").id == "-"
