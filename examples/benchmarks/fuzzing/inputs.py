"""Malformed inputs for `fuzz.py`: command lines, files and Python calls, from a seed alone.

Each kind of input is a function of a `random.Random` and of valid samples; it spoils one or two
things and leaves the rest valid, so that the mistake passes the first checks.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field

from examples.benchmarks.fuzzing.files import (
    FIFO,
    FOLDER,
    LINK,
    LOCKED,
    Files,
    Samples,
    architecture_file,
    dataset_npz,
    image_folder,
    nats_folder,
    run_folder,
    spoil_npz,
    store_file,
    table_npz,
    tfrecord,
)
from examples.benchmarks.fuzzing.values import argument, exotic, to_python, words


@dataclass(frozen=True)
class Input:
    """One malformed input: files, and what is done with them in their folder."""

    kind: str
    command: list[str] = field(default_factory=list)
    """Arguments of ``nas-gym``; empty where there is ``code``."""
    code: str = ""
    """Python statements."""
    files: Files = field(default_factory=dict)
    """By path in the folder."""
    output: str = ""
    """The device that stands for standard output; a file otherwise."""

    def __str__(self) -> str:
        action = f"nas-gym {self.command!r:.1500}" if self.command else f"{self.code:.1500}"
        return action + (f" > {self.output}" if self.output else "")


PATHS = ["", ".", "/", "/dev/zero", "/dev/full", "/dev/null", "/proc/self/mem", "a" * 300, "pipe"]
PATHS += ["folder", "missing/file", "a/" * 3_000, "\x1b[31m", "[/red]", "~", "~nobody", "\udcff"]
PATHS += ["locked", "link"]
SPECIAL: Files = {"pipe": FIFO, "folder": FOLDER, "text": b"text", "locked": LOCKED, "link": LINK}
SHORT = ["--episodes", "2", "--seconds", "3", "--no-final"]
TINY = ["--set", "epochs=1", "--set", "dataset=digits", "--set", "data_fraction=0.1"]
NUMBERS = ["9" * 5_000, "", *words("100000000 100000 1e9 1e20 -1 0 nan inf 1.5 x")]
SHOW = words(
    "cells filters classes stem stem-filters image-size channels width set picture latency-set"
)
SEARCH = words(
    "preset agent dataset episodes seconds target-accuracy max-failures envs workers "
    "ray child-timeout repeats store seed device reward set agent-set final-set"
)
SETTINGS = words(
    "cells filters epochs batch_size learning_rate blocks dataset seed split image_size "
    "early_stopping inherit_weights latency evaluator data_fraction render_mode reward device "
    "operations path augmentation label_smoothing momentum weight_decay optimizer cutout "
    "precision padding flips training_seed hp layers nodes dropout store workers"
)
AGENT_SETTINGS = words(
    "replay_buffer_class tensorboard_log train_freq n_delta policy n_steps batch_size "
    "learning_rate gamma policy_kwargs verbose seed device env population_size sample_size "
    "buffer_size gradient_steps learning_starts ent_coef noise_std n_epochs stats_window_size "
    "candidates ensemble order clip_range replay_buffer_kwargs units"
)


def path(rng: random.Random) -> str:
    """Return a path at which there is no file that is wanted."""
    return rng.choice([*PATHS, "text"])


def show_file(rng: random.Random, samples: Samples) -> Input:
    """Show an architecture from a spoiled file."""
    content = architecture_file(rng, samples)
    return Input("show: a file", ["show", "a.json", "--json"], files={"a.json": content})


def show_options(rng: random.Random, samples: Samples) -> Input:
    """Show an architecture with absurd options."""
    command = ["show", rng.choice(samples.names) if rng.random() < 0.9 else path(rng)]
    for _ in range(rng.choice((1, 1, 2))):
        flag = rng.choice(SHOW)
        value = rng.choice(NUMBERS)
        if flag == "set":
            value = f"{rng.choice(SETTINGS)}={argument(rng)}"
        elif flag == "latency-set":
            names = ("device", "batch_size", "threads", "warmup", "repeats")
            value = f"{rng.choice(names)}={rng.choice((*NUMBERS[:4], argument(rng)))}"
        elif flag == "picture":
            value = path(rng)
        command += [f"--{flag}", value if rng.random() < 0.9 else argument(rng)]
    return Input("show: options", command, files=SPECIAL)


def search_options(rng: random.Random, samples: Samples) -> Input:
    """Search with a malformed option; one that is valid searches for two episodes."""
    env_id = rng.choice(samples.env_ids) if rng.random() < 0.95 else argument(rng)
    command = ["search", env_id, "--agent", "random", *SHORT]
    command += TINY if "Bench-" not in env_id else []
    for _ in range(rng.choice((1, 1, 2))):
        flag = rng.choice(SEARCH)
        value = argument(rng) if rng.random() < 0.6 else rng.choice((*NUMBERS, path(rng)))
        if flag in ("set", "final-set", "agent-set"):
            names = AGENT_SETTINGS if flag == "agent-set" else SETTINGS
            value = f"{rng.choice(names)}={value}"
        if flag in ("workers", "repeats") and value.isdigit() and len(value) < 9 and int(value) > 2:
            value = "0"  # a machine full of processes, or days of training, are what was asked for
        command += [f"--{flag}", value]
    if rng.random() < 0.1:
        command += ["--run", path(rng)]
    return Input("search: options", command, files=SPECIAL)


def search_settings(rng: random.Random, samples: Samples) -> Input:
    """Search with an argument of a wrong type, of the environment, the agent or the final one."""
    agent = rng.choice(samples.agents)
    env_id = "nas_gym/TinyBench-v0"
    if agent == "enas":
        env_id = "nas_gym/ENASMicro-v0"
    elif rng.random() < 0.3:
        env_id = rng.choice(samples.env_ids)
    command = ["search", env_id, "--agent", agent, *SHORT]
    command += TINY if "Bench-" not in env_id else []
    command += ["--final", "--final-set", "epochs=1"] if rng.random() < 0.1 else []
    for _ in range(rng.choice((1, 1, 2))):
        flag = rng.choice(("--agent-set", "--agent-set", "--set", "--final-set"))
        names = AGENT_SETTINGS if flag == "--agent-set" else SETTINGS
        command += [flag, f"{rng.choice(names)}={argument(rng)}"]
    return Input("search: settings", command)


def search_dataset(rng: random.Random, samples: Samples) -> Input:
    """Search on a spoiled data set."""
    command = ["search", "nas_gym/NASNet-v0", "--agent", "random", *SHORT]
    command += ["--set", "epochs=1", "--set", "blocks=1", "--set", "filters=2", "--dataset"]
    if rng.random() < 0.6:
        files: Files = {"data.npz": spoil_npz(rng, dataset_npz(rng))}
        return Input("search: .npz", [*command, "data.npz"], files=files)
    if rng.random() < 0.8:
        return Input("search: images", [*command, "data"], files=image_folder(rng))
    return Input("search: data set's path", [*command, path(rng)], files=SPECIAL)


def search_resumed(rng: random.Random, samples: Samples) -> Input:
    """Resume a run of which a file is spoiled."""
    command = ["search", "--run", "run", "--resume", "--seconds", "3"]
    if rng.random() < 0.7:
        command.append("--no-final")
    return Input("search --resume", command, files=run_folder(rng, samples))


def runs(rng: random.Random, samples: Samples) -> Input:
    """Show or compare a run of which a file is spoiled."""
    files = run_folder(rng, samples)
    if rng.random() < 0.5:
        return Input("show: a run", ["show", "run"], files=files)
    command = ["compare", *rng.choice((["run"], ["run", "run"], ["run", path(rng)]))]
    if rng.random() < 0.3:
        command += ["--evaluations", rng.choice(NUMBERS)]
    return Input("compare", command, files={**SPECIAL, **files})


def stores(rng: random.Random, samples: Samples) -> Input:
    """Show, export, merge or use a spoiled store."""
    files = {**SPECIAL, "a.db": store_file(rng, samples), "b.db": store_file(rng, samples)}
    store = (
        "a.db"
        if rng.random() < 0.8
        else rng.choice((path(rng), "sqlite:///", "x://y", argument(rng)))
    )
    target = "all" + rng.choice((".csv", ".jsonl")) if rng.random() < 0.8 else path(rng)
    command = rng.choice(
        (
            [
                "store",
                "show",
                store,
                *rng.choice(([], ["--json"], ["--best", rng.choice(NUMBERS)])),
            ],
            ["store", "export", store, target],
            ["store", "merge", store, rng.choice(("b.db", "new.db", path(rng)))],
            ["search", samples.env_ids[-1], "--agent", "random", *SHORT, "--store", store],
        )
    )
    return Input(
        " ".join(command[:2]) if command[0] == "store" else "search --store", command, files=files
    )


def tables(rng: random.Random, samples: Samples) -> Input:
    """Import a spoiled table, or look children up in one."""
    how = rng.random()
    if how < 0.3:
        name = rng.choice(("a.tfrecord", "nasbench_only108.tfrecord"))
        return Input(
            "table import: .tfrecord", ["table", "import", name], files={name: tfrecord(rng)}
        )
    if how < 0.5:
        command = ["table", "import", "nats", *rng.choice((["--unpickle"], []))]
        return Input("table import: pickles", command, files=nats_folder(rng))
    if how < 0.65:
        files: Files = {"a.npz": spoil_npz(rng, table_npz(rng))}
        return Input("table import: .npz", ["table", "import", "a.npz"], files=files)
    if how < 0.75:
        return Input("table import: path", ["table", "import", path(rng)], files=SPECIAL)
    command = ["table", "build", rng.choice((*samples.env_ids, argument(rng))), "--out"]
    if how < 0.85:
        flag = rng.choice(("dataset", "image-size", "split", "seeds", "seed", "workers", "device"))
        command += [rng.choice(("t.npz", path(rng))), "--seeds", "0"]
        return Input("table build", [*command, f"--{flag}", argument(rng)], files=SPECIAL)
    env_id = rng.choice(("NASBench201", "NASBench101"))
    arguments = f"path='a.npz', epochs={to_python(exotic(rng))}"
    content = spoil_npz(rng, table_npz(rng))
    code = f"gym.make('nas_gym/{env_id}-Recorded-v0', {arguments})"
    return Input("recorded table", code=code, files={"a.npz": content})


def arguments(rng: random.Random, samples: Samples) -> Input:
    """Type a command line that none of the commands has."""
    commands = words("envs show search compare presets store table export merge build import")
    others = words("--json --help --x - -- --set --run --rate NASNet-A --jsn --set= --json=1 -h")
    command = [rng.choice(commands)]
    command += [rng.choice((*commands, *others, argument(rng))) for _ in range(rng.randrange(5))]
    output = rng.choice(("", "", "", "/dev/full"))
    return Input("arguments", command, output=output, files=SPECIAL)


CALLS = [
    "gym.make('{env}', {name}={v})",
    "gym.make('{env}', {name}={v}, {other}={w})",
    "gym.make_vec('{env}', num_envs={v})",
    "gym.make_vec('{env}', num_envs={v}, {name}={w})",
    "gym.make_vec('{env}', num_envs=2, vectorization_mode='vector_entry_point', {name}={v})",
    "Architecture.from_json({v})",
    "Architecture.from_json(text('a.json'))",
    "Architecture.load('a.json')",
    "Architecture.load({v})",
    "Architecture.from_dict({v})",
    "nas_gym.published({v})",
    "NASVectorEnv(space, evaluator, num_envs={v})",
    "nas_gym.NASEnv(space, evaluator, reward={v})",
    "nas_gym.NASEnv(space, evaluator, render_mode={v})",
    "env = gym.make('{bench}'); env.reset(seed=0); env.step({v})",
    "env = gym.make('{bench}'); env.reset(options={v})",
    "env = gym.make('{bench}'); env.reset(options=dict(choices={v}))",
    "gym.make_vec('{bench}', num_envs=2).reset(options={v})",
    "gym.make_vec('{bench}', num_envs=2).reset(options=dict(choices={v}))",
    "env = wrappers.WholeArchitecture(gym.make('{bench}')); env.reset(); env.step({v})",
    "env = wrappers.ContinuousAction(gym.make('{bench}')); env.reset(); env.step({v})",
    "env = gym.make('{bench}', observation='one-hot'); env.reset(); env.step({v})",
    "gym.make('{bench}', limits={v})",
    "gym.make('{bench}', limits=dict(made={v}))",
    "sb3.make_vec_env('{bench}', n_envs={v})",
    "sb3.make_vec_env('{bench}', n_envs=2, {name}={v})",
    "Store({v})",
    "Store('new.db').add({v}, {w})",
    "list(Store('a.db', create=False).records())",
    "space.decode({v})",
    "space.encode({v})",
    "space.check({v})",
    "nas_gym.NASNetSearchSpace({v})",
    "nas_gym.Evaluation({v}, {w}, (), 1.0, 0, 'a')",
    "nas_gym.Evaluation('ok', {v}, {w}, 1.0, 0, 'a')",
    "load_dataset({v})",
    "load_dataset('digits', {v})",
    "CustomSearchSpace({v}, {w})",
    "Decision({v}, {w})",
    "rewards.reward_by_name({v})",
]
"""Calls of the Python interface; ``{v}`` and ``{w}`` stand for values."""


def calls(rng: random.Random, samples: Samples) -> Input:
    """Call the Python interface with wrong values."""
    template = rng.choice(CALLS)
    # Gymnasium itself raises AttributeError for a render mode that is no text.
    names = [name for name in SETTINGS if name != "render_mode"]
    files: Files = {"a.json": architecture_file(rng, samples), "a.db": store_file(rng, samples)}
    bench = "nas_gym/TinyBench-v0"
    slots = {
        "env": rng.choice((*samples.env_ids, bench)),
        "bench": bench,
        "name": rng.choice(names),
        "other": rng.choice(names),
        "v": to_python(exotic(rng)),
        "w": to_python(exotic(rng)),
    }
    if slots["name"] == slots["other"]:
        slots["other"] = "no_such_argument"
    code = template
    for name, value in slots.items():
        code = code.replace(f"{{{name}}}", value)
    needed = {name: files[name] for name in files if name in code}
    return Input(f"call: {template}", code=code, files=needed)


KINDS: list[tuple[Callable[[random.Random, Samples], Input], int]] = [
    *((show_file, 12), (show_options, 10), (search_options, 12), (search_settings, 14)),
    *((search_dataset, 8), (search_resumed, 8), (runs, 10), (stores, 8), (tables, 8)),
    *((arguments, 5), (calls, 15)),
]
"""The makers of inputs, and how often each is used."""


def make_input(seed: int, number: int, samples: Samples) -> Input:
    """Return input ``number`` of a seed; the same one whenever it is asked for."""
    rng = random.Random(f"{seed} {number}")
    make = rng.choices([make for make, _ in KINDS], [often for _, often in KINDS])[0]
    return make(rng, samples)
