"""A launch plan as tables, text and JSON values. Shows; decides nothing."""

import shlex
from collections.abc import Sequence
from itertools import chain

from rich.table import Table

from servers.command import FIRST_PORT, argv, variables
from servers.fit import LaunchPlan, Refusal, ServerPlan, Step, Sum
from servers.fit.text import gib, step_text, sum_text
from servers.fit.values import Mode

_ORDER: dict[Mode, str] = {
    "together": "Start, one after the other, in this order; then all answer at once:",
    "sleep": "Start, one after the other, in this order; each sleeps before the next is started:",
    "serial": "Start, one after the other, in this order; each ends before the next is started:",
}


def as_values(plan: LaunchPlan) -> dict[str, object]:
    """Everything about a plan, with the names that `--json` keeps stable."""
    hardware = plan.hardware
    return {
        "hardware": hardware.key,
        "mode": plan.mode,
        "build": plan.build,
        "servers": [_server_values(one, i) for i, one in enumerate(plan.servers)],
        "total_bytes": plan.total_bytes,
        "card_bytes": hardware.total_bytes,
        "cards": [_sum_values(one) for one in plan.cards],
        "steps": [_step_values(one) for one in plan.steps],
        "notes": list(plan.notes),
    }


def refusal_values(refusal: Refusal) -> dict[str, object]:
    """Everything about a refusal: the arithmetic, and what would fit."""
    return {
        "hardware": refusal.hardware.key,
        "servers": [],
        "total_bytes": 0,
        "refusal": refusal.reason,
        "steps": [_step_values(one) for one in refusal.steps],
        "would_fit": [
            {"kind": offer.kind, "text": offer.text, **as_values(offer.plan)}
            for offer in refusal.offers
        ],
    }


def steps_text(steps: Sequence[Step]) -> str:
    """What was tried, one line each, and the arithmetic of the last."""
    lines = [f"  {i}. {step_text(step)}" for i, step in enumerate(steps, start=1)]
    return "\n".join(["Steps:", *lines, f"  {sum_text(steps[-1].tightest)}"])


def server_table(plan: LaunchPlan) -> Table:
    """One row per server: what it gets and what is expected of it."""
    names = (
        "model weights GPU type weights_GiB working_GiB KV_GiB total_GiB context tokens_in_KV "
        "sequences investigations"
    )
    table = Table(*(name.replace("_", " ") for name in names.split()), box=None, pad_edge=False)
    for one in plan.servers:
        table.add_row(
            one.model,
            f"{one.quantization} ({one.method})",
            "+".join(map(str, one.gpus)) or "-",
            one.dtype,
            *(
                _short(n)
                for n in (one.weights_bytes, one.working_bytes, one.kv_bytes, one.total_bytes)
            ),
            str(one.max_model_len),
            str(one.kv_bytes // one.kv_bytes_per_token),
            str(one.max_num_seqs),
            str(one.n_investigations),
        )
    return table


def memory_table(plan: LaunchPlan) -> Table:
    """One row per card: everything that is taken, against what there is."""
    names = "card models weights working KV contexts others margin total of"
    table = Table(*names.split(), box=None, pad_edge=False)
    for one in plan.cards:
        kv_bytes = sum(server.kv_bytes_per_gpu for server in plan.servers if _is_on(server, one))
        parts = (
            one.weights_bytes,
            one.working_bytes,
            kv_bytes,
            one.contexts_bytes,
            one.others_bytes,
            one.margin_bytes,
        )
        index = f" {one.indices[0]}" if one.indices else ""
        table.add_row(
            f"{one.name}{index}",
            " + ".join(one.models),
            *map(_short, parts),
            _short(sum(parts)),
            gib(one.total_bytes),
        )
    return table


def text_of(plan: LaunchPlan) -> str:
    """The steps with their arithmetic, the notes and the command lines."""
    return "\n".join(chain(_step_lines(plan), _note_lines(plan), _command_lines(plan)))


def _step_lines(plan: LaunchPlan) -> list[str]:
    return ["", steps_text(plan.steps)]


def _note_lines(plan: LaunchPlan) -> list[str]:
    notes = list(plan.notes)
    for one in plan.servers:
        notes += [f"{one.model}: {note}" for note in one.notes]
    return ["", "Notes:", *(f"  {note}" for note in dict.fromkeys(notes))] if notes else []


def _command_lines(plan: LaunchPlan) -> list[str]:
    lines = ["", _ORDER[plan.mode]]
    for i, one in enumerate(plan.servers):
        names = [f"{name}={value}" for name, value in variables(one).items()]
        lines.append(f"  {' '.join([*names, shlex.join(argv(one, port=FIRST_PORT + i))])}")
    return lines


def _server_values(one: ServerPlan, position: int) -> dict[str, object]:
    return {
        "model": one.model,
        "repo": one.repo,
        "quantization": one.quantization,
        "method": one.method,
        "dtype": one.dtype,
        "runtime": one.runtime,
        "gpus": list(one.gpus),
        "weights_bytes": one.weights_bytes,
        "working_bytes": one.working_bytes,
        "kv_bytes": one.kv_bytes,
        "total_bytes": one.total_bytes,
        "kv_bytes_per_token": one.kv_bytes_per_token,
        "max_model_len": one.max_model_len,
        "max_num_seqs": one.max_num_seqs,
        "investigations": one.n_investigations,
        "argv": list(argv(one, port=FIRST_PORT + position)),
        "environment": variables(one),
        "notes": list(one.notes),
    }


def _sum_values(one: Sum) -> dict[str, object]:
    return {
        "name": one.name,
        "models": list(one.models),
        "total_bytes": one.total_bytes,
        "others_bytes": one.others_bytes,
        "contexts_bytes": one.contexts_bytes,
        "margin_bytes": one.margin_bytes,
        "weights_bytes": one.weights_bytes,
        "working_bytes": one.working_bytes,
        "kv_bytes": one.kv_bytes,
    }


def _step_values(step: Step) -> dict[str, object]:
    return {
        "name": step.name,
        "quantization": dict(step.precisions),
        "context_tokens": step.context_tokens,
        "kv_bytes": step.tightest.kv_bytes,
        "kv_needed_bytes": step.tightest.kv_needed_bytes,
        "short_bytes": step.tightest.short_bytes,
        "fits": step.fits,
        "text": step_text(step),
    }


def _is_on(server: ServerPlan, card: Sum) -> bool:
    return server.model in card.models


def _short(n_bytes: int) -> str:
    return f"{n_bytes / (1 << 30):.2f}"
