"""What the workflows that were read need, against an inventory."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from scanner.commands.workflow.read_files import Read
from scanner.workflows.index import Index
from scanner.workflows.matching import MISSING, PRESENT, STATES, Standing, category_of_need, stand
from scanner.workflows.uses import Need


class Checked(NamedTuple):
    """A need of a workflow, and how it stands."""

    need: Need
    standing: Standing

    @property
    def is_lacking(self) -> bool:
        """True if the workflow does not run for want of this model."""
        return self.need.active and self.standing.state != PRESENT


class Checkup(NamedTuple):
    """A workflow, and how its needs stand."""

    read: Read
    needs: tuple[Checked, ...]

    @property
    def lacking(self) -> list[Checked]:
        return [each for each in self.needs if each.is_lacking]

    @property
    def is_ready(self) -> bool:
        """True if all models that it needs are here."""
        return not self.read.error and not self.lacking

    def counts(self) -> dict[str, int]:
        """The number of active needs by state, only states that occur."""
        found = Counter(each.standing.state for each in self.needs if each.need.active)
        return {state: found[state] for state in STATES if found[state]}


class Wanted(NamedTuple):
    """A model that is not here, and how many workflows need it."""

    name: str
    category: str
    state: str
    workflows: int


def check(reads: Iterable[Read], index: Index, shown: Callable[[str], str]) -> list[Checkup]:
    """How the needs of each workflow stand. `shown` formats the times in reasons."""
    known: dict[Need, Standing] = {}

    def standing(need: Need) -> Standing:
        # Many workflows name the same models; the nodes that do so matter to none of it.
        key = need._replace(nodes=(), active=True)
        if key not in known:
            known[key] = stand(key, index, shown)
        return known[key]

    return [
        Checkup(read, tuple(Checked(need, standing(need)) for need in read.needs)) for read in reads
    ]


def most_wanted(checkups: Iterable[Checkup]) -> list[Wanted]:
    """The models that workflows lack, those that most of them need first."""
    counts: Counter[tuple[str, str, str]] = Counter()
    for checkup in checkups:
        counts.update(
            {
                (each.need.name, category_of_need(each.need), each.standing.state)
                for each in checkup.lacking
            }
        )
    wanted = [Wanted(*key, count) for key, count in counts.items()]
    return sorted(
        wanted, key=lambda each: (-each.workflows, each.state != MISSING, each.name, each.category)
    )


def exit_code(checkups: Sequence[Checkup]) -> int:
    """0 if all models of all workflows are here, 2 if no file could be read, else 1."""
    if all(checkup.read.error for checkup in checkups):
        return 2
    return 0 if all(checkup.is_ready for checkup in checkups) else 1
