"""Running a saved plan: prompts written by an earlier call, possibly edited by hand."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from fercli.artifacts import Input, input_of, open_artifact
from fercli.artifacts.digests import digest_file
from fercli.datasets.index import SPLITS, Counts
from fercli.errors import DataError, UsageError
from fercli.files import missing_message
from fercli.generation.prompts.file import PROMPTS
from fercli.generation.prompts.prompt import Prompt
from fercli.stages.balance.config import BalanceConfig
from fercli.stages.balance.plan import Need, Plan


def prompts_input(file: Path) -> Input:
    """Describe prompts as an input by their current content, which may differ from what the plan's manifest records.

    Raises:
        DataError: there is no such file.
    """
    if not file.is_file():
        raise DataError(missing_message(file, "file of prompts"))
    return input_of("prompts", file, "prompts", digest_file(file))


def prompts_file(plan: Path) -> Path:
    """Return the file of prompts that `--plan` refers to: the file itself, or that of a plan."""
    return open_artifact(plan, "plan").path / PROMPTS if plan.is_dir() else plan


def refuse_policy(config: BalanceConfig) -> None:
    """Raise UsageError if a policy or splits are given along with prompts, which define what is created."""
    for name in ("policy", "splits"):
        if name in config.model_fields_set:
            raise UsageError(f"--{name}: the plan's prompts define what is created; omit it, or the plan")


def plan_from_prompts(prompts: Sequence[Prompt], have: Counts, emotions: Sequence[str]) -> Plan:
    """Return the plan that prompts define: one image of its class for each prompt."""
    needs: dict[str, dict[str, Need]] = {}
    for split in SPLITS:
        needs[split] = {}
        for emotion in emotions:
            count = have.get(split, {}).get(emotion, 0)
            missing = sum(prompt.file.startswith(f"{split}/{emotion}/") for prompt in prompts)
            needs[split][emotion] = Need(count, count + missing, generate=missing)
    filled = tuple(s for s in SPLITS if any(need.generate for need in needs[s].values()))
    return Plan(needs, filled)
