"""Capability `history`: an investigation's activations, turn by turn. Docstrings are help text.

State is what was recorded, text by text; the figures are asked of the shared answers when they are
wanted. So a resume rebuilds it from the recorded calls without running a model.
"""

from collections.abc import Awaitable, Callable, Mapping

import msgspec

from engine.errors import CapabilityError
from engine.introspection.findings import check_length
from engine.introspection.probe import Insides

Pure = Callable[[str, Mapping[str, object]], Awaitable[object]]
"""(method, arguments) -> the shared answer of a capability that never changes."""

_MAX_TURNS = 200
_MAX_LABEL = 200
_SHOWN_CHARS = 80


class _Turn(msgspec.Struct, frozen=True):
    text: str
    label: str


class History:
    """Your activations over the turns of this investigation: how you change while you go on.

    start_tracking() first, then record_turn() with a text of each turn, for example your own last
    words; then compare. A text may have 256 tokens.
    """

    def __init__(self, insides: Insides, pure: Pure) -> None:
        """Check names with `insides`, get figures from `pure`."""
        self._insides = insides
        self._pure = pure
        self._layers: list[str] = []
        self._turns: list[_Turn] = []
        self._is_tracking = False
        self.repeated = {"history.record_turn": self._keep}
        """What a resume calls in the place of a method: the same change, nothing measured."""

    def start_tracking(self, layer_name: str | list[str] | None = None) -> dict[str, object]:
        """Start to track layers; what was recorded before stays.

        Args:
            layer_name: name of a layer, or a list of at most 40; without it the first, the middle
                and the last decoder layer.

        Returns:
            dict with is_tracking, layers (names) and n_turns (recorded so far).

        Example:
            print(history.start_tracking("model.layers.0"))
        """
        if layer_name is None:
            decoder = self._insides.decoder
            places = sorted({0, len(decoder) // 2, len(decoder) - 1})
            self._layers = [decoder[place] for place in places]
        else:
            self._layers = self._insides.named(layer_name)
        self._is_tracking = True
        return self.get_tracking_status()

    async def record_turn(self, text: str, label: str = "") -> dict[str, object]:
        """Run a text of this turn through yourself and record what the tracked layers put out.

        Args:
            text: any text of at most 256 tokens.
            label: a word or two to recognise the turn by.

        Returns:
            dict with turn (1 for the first one), label, text (its beginning) and layers (name ->
            dict with mean, std and last_norm, the L2 norm of the last token's vector).

        Example:
            history.start_tracking()
            print(history.record_turn("I wonder what my layers do.", label="begin"))
        """
        self._check_tracking()
        check_length("label", label or "-", most=_MAX_LABEL)
        turn = await self._measured(len(self._turns) + 1, _Turn(text, label))
        self._keep(text, label)
        return turn

    async def get_activation_history(self, limit: int = 20) -> list[dict[str, object]]:
        """Return the recorded turns.

        Args:
            limit: how many of the latest turns to return, 1 to 40.

        Returns:
            list of dicts with turn, label, text and layers as in record_turn, oldest first.

        Example:
            print(history.get_activation_history())
        """
        count = max(1, min(limit, 40))
        numbered = list(enumerate(self._turns, 1))[-count:]
        return [await self._measured(number, turn) for number, turn in numbered]

    async def compare_to_previous(self) -> list[dict[str, object]]:
        """Compare the latest recorded turn with the one before it.

        Returns:
            list of dicts, one per tracked layer, with name, mean_cosine (between the means over
            the tokens, -1 to 1), last_cosine (between the last tokens), l2_distance (of the means)
            and relative_change (this distance divided by the length of the earlier mean).

        Example:
            history.start_tracking()
            history.record_turn("First I looked at my layers.")
            history.record_turn("Then I looked at my weights.")
            print(history.compare_to_previous())
        """
        before, after = self._at_least_two()[-2:]
        return await self._compared(before, after)

    async def analyze_drift(self) -> list[dict[str, object]]:
        """Tell how far each recorded turn is from the first one.

        Returns:
            list of dicts, one per tracked layer, with name, from_first (relative_change of each
            later turn from the first one, the latest 40, oldest first; None where it is not
            finite), largest (turn with the largest one) and is_growing (True if the latest is the
            largest).

        Example:
            history.start_tracking()
            for text in ("One.", "Two and more.", "Something else entirely."):
                history.record_turn(text)
            print(history.analyze_drift())
        """
        first, *later = self._at_least_two()
        latest = later[-40:]
        compared = [await self._compared(first, turn) for turn in latest]
        start = 2 + len(later) - len(latest)
        return [
            _drift(name, [_change(rows[place]) for rows in compared], start)
            for place, name in enumerate(self._layers)
        ]

    def get_tracking_status(self) -> dict[str, object]:
        """Tell whether and what is tracked.

        Returns:
            dict with is_tracking, layers (names) and n_turns (recorded so far).

        Example:
            print(history.get_tracking_status())
        """
        return {
            "is_tracking": self._is_tracking,
            "layers": list(self._layers),
            "n_turns": len(self._turns),
        }

    def clear_history(self) -> dict[str, object]:
        """Forget the recorded turns; tracking goes on.

        Returns:
            dict with n_cleared (turns that were forgotten).

        Example:
            print(history.clear_history())
        """
        n_cleared, self._turns = len(self._turns), []
        return {"n_cleared": n_cleared}

    def stop_tracking(self) -> dict[str, object]:
        """Stop tracking; what was recorded stays.

        Returns:
            dict with is_tracking, layers (names) and n_turns (recorded so far).

        Example:
            print(history.stop_tracking())
        """
        self._is_tracking = False
        return self.get_tracking_status()

    def _keep(self, text: str, label: str) -> None:
        self._turns.append(_Turn(text, label))

    def _check_tracking(self) -> None:
        if not self._is_tracking:
            raise CapabilityError("RuntimeError", "nothing is tracked: history.start_tracking()")
        if len(self._turns) >= _MAX_TURNS:
            problem = f"{_MAX_TURNS} turns are recorded, no more fit: history.clear_history()"
            raise CapabilityError("ValueError", problem)

    def _at_least_two(self) -> list[_Turn]:
        if len(self._turns) < 2:  # noqa: PLR2004 - a comparison takes two
            problem = (
                f"{len(self._turns)} turns are recorded, two are needed: history.record_turn()"
            )
            raise CapabilityError("RuntimeError", problem)
        return self._turns

    async def _measured(self, number: int, turn: _Turn) -> dict[str, object]:
        arguments = {"text": turn.text, "layer_name": self._layers}
        rows = msgspec.convert(
            await self._pure("activations.capture_activations", arguments), list[dict[str, object]]
        )
        return {
            "turn": number,
            "label": turn.label,
            "text": turn.text[:_SHOWN_CHARS],
            "layers": {str(row["name"]): _brief(row) for row in rows},
        }

    async def _compared(self, before: _Turn, after: _Turn) -> list[dict[str, object]]:
        arguments = {"text": before.text, "other_text": after.text, "layer_name": self._layers}
        rows = await self._pure("temporal.compare_activations", arguments)
        return msgspec.convert(rows, list[dict[str, object]])


def _brief(row: Mapping[str, object]) -> dict[str, object]:
    return {"mean": row["mean"], "std": row["std"], "last_norm": row["last_norm"]}


def _change(row: Mapping[str, object]) -> float | None:
    return msgspec.convert(row["relative_change"], float | None)


def _drift(name: str, changes: list[float | None], start: int) -> dict[str, object]:
    """Return the drift of one layer; the first of `changes` is that of turn `start`."""
    top = max((each for each in changes if each is not None), default=None)
    return {
        "name": name,
        "from_first": changes,
        "largest": None if top is None else start + changes.index(top),
        "is_growing": top is not None and changes[-1] == top,
    }
