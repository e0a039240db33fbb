"""The measures that arms are compared by, each exactly defined. Pure."""

from collections.abc import Callable

import msgspec

from engine.compare.measures import Measures
from engine.errors import UsageError

Amount = Callable[[Measures], float]
Ratio = tuple[Amount, Amount]
"""What is summed above and below the line; the mean is what is divided by one for each."""

SHARE_MARGIN = 0.1
"""A difference between shares that counts as none: ten percentage points."""
OTHER_MARGIN = 0.2
"""The same for anything else, as a part of the mean of both arms."""


class Measure(msgspec.Struct, frozen=True, kw_only=True):
    """A figure of an arm."""

    name: str
    label: str
    unit: str
    ratio: Ratio
    own: Ratio | None = None
    """The same without executions that failed because of the harness, where these matter."""
    is_share: bool = False
    is_speed: bool = False
    """It says what the machine did in this run; models that share one slow each other down."""

    @property
    def bound(self) -> float | None:
        """How far one investigation can be from zero; None: there is no such limit."""
        return 1.0 if self.is_share else None


def _one(_: Measures) -> float:
    return 1.0


def _counted(item: Measures) -> float:
    return 1.0 if item.has_token_counts else 0.0


def _mean(name: str, label: str, unit: str, amount: Amount, *, is_speed: bool = False) -> Measure:
    return Measure(name=name, label=label, unit=unit, ratio=(amount, _one), is_speed=is_speed)


def _tokens(name: str, label: str, amount: Amount) -> Measure:
    return Measure(name=name, label=label, unit="tokens", ratio=(amount, _counted))


def _share(
    name: str, label: str, above: Amount, below: Amount, own: Ratio | None = None
) -> Measure:
    return Measure(
        name=name, label=label, unit="share", ratio=(above, below), own=own, is_share=True
    )


def _requirements(item: Measures) -> float:
    return len(item.requirements)


def _met(item: Measures) -> float:
    return sum(check.is_met for check in item.requirements)


def _own_errors(item: Measures) -> float:
    return item.execution_errors - item.harness_errors


def _own_blocks(item: Measures) -> float:
    return item.code_blocks_executed - item.harness_errors


def _used(item: Measures) -> float:
    return item.functions_used / item.functions_granted if item.functions_granted else 0.0


def _has_functions(item: Measures) -> float:
    return 1.0 if item.functions_granted else 0.0


MEASURES = (
    _share(
        "error_rate",
        "execution errors per code block",
        lambda item: item.execution_errors,
        lambda item: item.code_blocks_executed,
        (_own_errors, _own_blocks),
    ),
    _mean("turns", "turns", "turns", lambda item: item.turns),
    _mean("code_blocks", "code blocks executed", "blocks", lambda item: item.code_blocks_executed),
    Measure(
        name="execution_errors",
        label="execution errors",
        unit="errors",
        ratio=(lambda item: item.execution_errors, _one),
        own=(_own_errors, _one),
    ),
    _share(
        "repair_rate",
        "errors repaired by the next block",
        lambda item: item.repairs.repaired,
        lambda item: item.repairs.failed,
        (lambda item: item.repairs.own_repaired, lambda item: item.repairs.own_failed),
    ),
    _share(
        "silent_share",
        "turns without executed code",
        lambda item: item.silent_turns,
        lambda item: item.turns,
    ),
    _share(
        "cut_share",
        "replies cut by the token limit",
        lambda item: item.cut_turns,
        lambda item: item.turns,
    ),
    _share(
        "repetition",
        "turns that repeat earlier ones",
        lambda item: item.repeated_turns,
        lambda item: item.turns,
    ),
    _mean("calls", "introspection calls", "calls", lambda item: item.introspection_calls),
    _share(
        "failed_call_share",
        "introspection calls refused",
        lambda item: item.failed_calls,
        lambda item: item.introspection_calls,
    ),
    _share("api_coverage", "introspection functions used", _used, _has_functions),
    _mean(
        "help_blocks", "code blocks that call help() or dir()", "blocks", lambda i: i.help_blocks
    ),
    _mean("findings", "findings stored", "findings", lambda item: item.findings),
    _mean("findings_read", "calls that read findings", "calls", lambda item: item.findings_read),
    _share(
        "claims_grounded",
        "claims that something recorded supports",
        lambda item: item.claims.grounded,
        lambda item: item.claims.claims,
    ),
    _share(
        "claims_contradicted",
        "claims that contradict what was recorded",
        lambda item: item.claims.contradicted,
        lambda item: item.claims.claims,
    ),
    _share(
        "claims_unmeasured",
        "claims that nothing recorded is about",
        lambda item: item.claims.unmeasured,
        lambda item: item.claims.claims,
    ),
    _mean(
        "claims_pretended",
        "actions claimed and not done",
        "claims",
        lambda item: item.claims.pretended,
    ),
    _share(
        "introspection_accuracy",
        "claims about the model that its checkpoint confirms",
        lambda item: item.claims.true_of_the_model,
        lambda item: item.claims.about_the_model,
    ),
    _share("requirements_met", "requirements met", _met, _requirements),
    _share("censored", "investigations ended by a limit", lambda item: item.is_censored, _one),
    _tokens("prompt_tokens", "tokens read", lambda item: item.prompt_tokens),
    Measure(
        name="cached_share",
        label="of them from the prefix cache",
        unit="share",
        ratio=(lambda item: item.cached_tokens, lambda item: item.prompt_tokens),
        is_share=True,
        is_speed=True,
    ),
    _tokens("completion_tokens", "tokens written", lambda item: item.completion_tokens),
    _mean("model_s", "seconds waiting for the model", "s", lambda i: i.model_s, is_speed=True),
    _mean("execution_s", "seconds executing code", "s", lambda i: i.execution_s, is_speed=True),
    Measure(
        name="tokens_per_s",
        label="tokens written per second",
        unit="tokens/s",
        ratio=(lambda item: item.completion_tokens, lambda item: _counted(item) * item.model_s),
        is_speed=True,
    ),
)


def named(name: str) -> Measure:
    """Return the measure called `name`.

    Raises:
        UsageError: there is none.
    """
    found = next((each for each in MEASURES if each.name == name), None)
    if found is None:
        known = ", ".join(each.name for each in MEASURES if not each.is_speed)
        raise UsageError(f"--primary {name!r}: no such measure. There are: {known}.")
    return found
