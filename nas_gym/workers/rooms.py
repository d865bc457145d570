"""`Rooms`: which worker may take which child, by the memory of its GPU or machine."""

from __future__ import annotations

from collections.abc import Sequence

from nas_gym.workers.protocol import Child, Place, Worker


class Rooms:
    """The GPUs and machines of workers, and the children that are trained in each.

    A child begins where its estimated memory is free, or where no other child is. One that is tried
    alone has its room for itself.
    """

    def __init__(self) -> None:
        self._names: dict[Worker, str] = {}
        self._memory: dict[str, float] = {}
        """Bytes for children, by the room's name."""
        self._children: dict[str, list[Child]] = {}

    def open(self, worker: Worker, place: Place) -> None:
        """Note where a worker began, and the memory that is free there beside what is promised."""
        self._names[worker] = place.name
        promised = sum(child.memory for child in self._children.setdefault(place.name, []))
        self._memory[place.name] = place.memory + promised

    def unclaimed(self, idle: Sequence[Worker], claimed: set[str]) -> list[Worker]:
        """Return the idle workers in rooms that no earlier child waits for."""
        return [worker for worker in idle if self._names[worker] not in claimed]

    def choose(self, child: Child, idle: Sequence[Worker]) -> Worker | None:
        """Return the worker that takes a child, where the most memory is free; None for none."""
        free = [worker for worker in idle if self._has_room(child, self._names[worker])]
        return min(free, key=self._taken, default=None)

    def emptiest(self, idle: Sequence[Worker]) -> str:
        """Return the room in which a child will begin first that has none now."""
        return self._names[min(idle, key=self._taken)]

    def enter(self, child: Child, worker: Worker) -> float | None:
        """Note that a worker takes a child; return the bytes that it may use, None for all."""
        self._children[self._names[worker]].append(child)
        return None if child.alone or not self.is_shared(worker) else child.memory or None

    def leave(self, child: Child, worker: Worker) -> None:
        """Note that a child ended."""
        self._children[self._names[worker]].remove(child)

    def is_shared(self, worker: Worker) -> bool:
        """Return True if other workers are, or were, in the same room."""
        return list(self._names.values()).count(self._names[worker]) > 1

    def _has_room(self, child: Child, name: str) -> bool:
        others = self._children[name]
        if not others:
            return True
        if child.alone or others[0].alone:
            return False
        return sum(each.memory for each in others) + child.memory <= self._memory[name]

    def _taken(self, worker: Worker) -> tuple[float, int]:
        children = self._children[self._names[worker]]
        return sum(child.memory for child in children), len(children)
