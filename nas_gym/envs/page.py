"""The page of an environment: what all pages share, around what its class's docstring says."""

from __future__ import annotations

import ast
import inspect
import re
import textwrap
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import is_dataclass
from functools import lru_cache
from itertools import pairwise
from typing import Any, NamedTuple

from nas_gym.errors import choices_hint
from nas_gym.family import registered_families
from nas_gym.registration import multi_objective_id
from nas_gym.search_spaces import SearchSpace


class Argument(NamedTuple):
    """An argument, as a page's table has it."""

    default: Any  # `inspect.Parameter.empty` where there is none
    meaning: str


OTHER_NAMES = {"seed": "training_seed"}
"""Fields of the training's settings that are arguments of another name: the environment's
``reset(seed=)`` is another seed."""
COMMON = {
    "reward": Argument("accuracy", "see above"),
    "render_mode": Argument(None, 'a text (`"ansi"`), a picture (`"rgb_array"`), a window'),
    "observation": Argument("choices", 'or `"one-hot"`: a flat float32 vector'),
    "info": Argument("records", 'or `"numbers"`: no texts and records at the end'),
    "limits": Argument(None, 'the budget: `{"asked": n}`, `{"made": n}` or `{"seconds": s}`'),
}
"""Arguments of every environment."""


class Alternative(NamedTuple):
    """One of the evaluators of an environment, as its page has it."""

    name: str
    about: str  # a paragraph on its evaluations
    arguments: Mapping[str, Argument]


def page(own: str, env_id: str, search_space: SearchSpace, alternatives: list[Alternative]) -> str:
    """Return the page of an environment.

    Args:
        own: The sections that its class writes, each under its heading; shared text is added. Its
            version history may be left out in the first version.
        env_id: The id under which it is registered.
        search_space: The default one.
        alternatives: Its evaluators, the default first.
    """
    parts = re.split(r"^## (.+)$", inspect.cleandoc(own), flags=re.MULTILINE)
    own_texts = ["\n\n" + text.strip() for text in parts[2::2]]
    texts = defaultdict(str, zip(parts[1::2], own_texts, strict=True))
    texts.setdefault("Version History", "\n\n- v0: first version")
    texts["tables"] = "\n\n".join(_arguments(env_id, each, alternatives) for each in alternatives)
    texts["about"] = "\n\n".join(each.about for each in alternatives)
    texts["A"], texts["T"] = str(search_space.num_actions), str(len(search_space.decisions))
    texts["MO"] = multi_objective_id(env_id)
    return re.sub(r"^(## .+\n)\n", r"\1", _PAGE.format_map(texts), flags=re.MULTILINE)


_PAGE = """\
## Description{Description}

## Action Space{Action Space}

The space is `Discrete(A)`, the index of a choice; A = {A} by default. `action_masks()` (bool)
and `info["action_mask"]` (int8) say which actions are valid. An invalid action a becomes valid
choice number (a modulo the number of valid choices), and `info["invalid_action"]` is true then.
An action outside the space raises `gymnasium.error.InvalidAction`.

## Observation Space
`MultiDiscrete` of T entries, the partial architecture; T = {T} by default. Entry t is 0
while decision t is not made, and c + 1 after choice c; it has k + 1 values for k choices.
With `observation="one-hot"` it is a flat `Box` of their one-hot codes, float32.\
{Observation Space}

## Starting State
Nothing is decided: all zeros. `reset(options={{"choices": prefix}})` starts after the choices of
the first decisions instead. Nothing is random, so `reset(seed=)` changes no episode.\
{Starting State}

## Rewards
0 until the last decision; then a function of the child's evaluation:

- `reward="accuracy"` (default): validation accuracy after the last epoch.
- `reward="nas"`: the best validation accuracy of the last five epochs, cubed (Zoph & Le 2017).
- `reward={{"name": "mnasnet", "target": T}}`: accuracy and latency together, or accuracy and
  another cost; also `"mnasnet-hard"`, `"proxylessnas"` and `"tunas"`; see `nas_gym.rewards`. Where
  children are trained, `latency={{}}` measures it.

A child that failed is worth 0, or less where others can be. With several objectives,
`gym.make("{MO}", objectives=["accuracy", "-parameters"])`, the reward is a vector by MO-Gymnasium's
convention; see `nas_gym.Objectives`.\
{Rewards}

{about}

## Episode End
The episode terminates with decision T = {T} (by default). It is truncated only
where the budget of `limits` is spent.{Episode End}

## Information
| Key | When | Value |
|---|---|---|
| `action_mask` | always | `(A,)` int8, 1 where an action is valid; A = {A} by default |
| `invalid_action` | after a step | true if the action was invalid |
| `budget_exhausted` | with `limits` | true once the budget is spent |
| `architecture` | at the end | the architecture as JSON |
| `evaluation` | at the end | a dict: `accuracy`, `status`, `curve`, `parameters`, ... |
| `accuracy`, ... | at the end, in the place of both, with `info="numbers"` | a number |\
{Information}

## Arguments
{tables}{Arguments}

## References{References}

## Version History{Version History}
"""
"""The page, in Gymnasium's order, around the sections of a class."""


def _arguments(env_id: str, alternative: Alternative, all_of_them: list[Alternative]) -> str:
    """Return the example and the table of the arguments with one evaluator."""
    name, names = alternative.name, [each.name for each in all_of_them]
    chosen = "" if name == names[0] else f', evaluator="{name}"'
    intro = "" if len(names) == 1 else f'With `evaluator="{name}"`:\n\n'
    common = dict(COMMON)
    if len(names) > 1:
        among = "one of " + ", ".join(f'`"{each}"`' for each in names)
        common = {"evaluator": Argument(names[0], among), **common}
    rows = [
        f"| `{name}` | {_shown(argument.default)} | {argument.meaning} |"
        for name, argument in {**alternative.arguments, **common}.items()
    ]
    if name == "trained":
        of = {name: alternative.arguments[name].default for name in ("dataset", "epochs")}
        chosen = f', dataset="{of["dataset"]}", epochs={of["epochs"]}'
    example = f'```python\ngym.make("{env_id}"{chosen})\n```\n\n'
    return f"{intro}{example}| Argument | Default | Meaning |\n|---|---|---|\n" + "\n".join(rows)


def _shown(default: Any) -> str:
    if default is inspect.Parameter.empty:
        return ""
    text = repr(list(default) if isinstance(default, tuple) else default).replace("'", '"')
    return f"`{text}`" if len(text) <= 24 else f"{len(default)} labels"


def unknown(name: str, known: Iterable[str], where: str) -> str:
    """Return the message that an environment has no argument of this name; ``where`` ends it."""
    names = [*known, *COMMON]
    if OTHER_NAMES.get(name) in names:
        return (
            f"{name}: the seed of children's training is {OTHER_NAMES[name]!r} (reset(seed=) seeds "
            "the environment's own generator)"
        )
    if name == "objectives":
        return 'objectives: ids with "MO-" take them, "nas_gym/MO-NASNet-v0" for instance'
    return f"unexpected keyword argument {name!r} {where}; {choices_hint(name, names)}"


def id_of(env: type[Any]) -> str:
    """Return the id under which an environment is declared; its name where there is none."""
    families = registered_families()
    ids = {part: env_id for each in families for env_id, part in each.environments.items()}
    return ids.get(f"{env.__module__}:{env.__name__}", env.__name__)


def arguments_of(taker: Callable[..., Any]) -> dict[str, Argument]:
    """Return the arguments of a class or function, with their defaults, as it documents them."""
    meanings = _in_docstring(inspect.getdoc(taker) or "")
    if is_dataclass(taker):
        for base in getattr(taker, "__mro__", ()):
            meanings = {**_beside_fields(base), **meanings}
    return {
        name: Argument(each.default, meanings.get(name, name.replace("_", " ")))
        for name, each in inspect.signature(taker).parameters.items()
    }


def _in_docstring(docstring: str) -> dict[str, str]:
    """Return the meanings in the section ``Args:`` of a docstring."""
    _, _, rest = docstring.partition("Args:\n")
    block = re.split(r"^\S", rest, maxsplit=1, flags=re.MULTILINE)[0]
    items = re.findall(r"^    (\w+): (.+(?:\n {5,}.*)*)", block, flags=re.MULTILINE)
    return {name: _first_sentence(text) for name, text in items}


@lru_cache
def _beside_fields(settings_type: type[Any]) -> dict[str, str]:
    """Return the meanings in the strings below the fields of settings, by the source."""
    try:
        source = textwrap.dedent(inspect.getsource(settings_type))
    except (OSError, TypeError):  # without its source, or one of Python's own
        return {}
    [definition] = ast.parse(source).body
    meanings = {}
    for pair in pairwise(getattr(definition, "body", ())):
        match pair:
            case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(ast.Constant(str(text))):
                meanings[name] = _first_sentence(text)
    return meanings


def _first_sentence(text: str) -> str:
    """Return the first sentence in one line of a table."""
    line = " ".join(text.split()).replace("``", "`").replace("|", "/")
    return re.split(r"\.(?: |$)", line, maxsplit=1)[0]
