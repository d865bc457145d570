"""``nas_gym/Compression-v0``."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import fields
from functools import partial
from pathlib import Path
from typing import Any, SupportsFloat

import gymnasium as gym
import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from nas_gym.data import Dataset, load_dataset
from nas_gym.errors import choices_hint, require, unknown_argument
from nas_gym.evaluation import Evaluation
from nas_gym.families.compression.compressor import Compressor
from nas_gym.families.compression.settings import CompressionSettings
from nas_gym.families.compression.subject import subject_of
from nas_gym.families.compression.walk import FEATURES, Walk
from nas_gym.models import Model
from nas_gym.networks import count_parameters
from nas_gym.networks.devices import resolve_device
from nas_gym.objectives import Objectives
from nas_gym.outside.json_text import short
from nas_gym.rewards import AnyReward, check_costs, reward_by_name
from nas_gym.settings import require_known


def error_by_cost(cost: str, whole: Callable[[str], int], evaluation: Evaluation) -> float:
    """Return -error x log(cost), the reward with which AMC keeps the accuracy (section 3.3).

    A network that failed is worth what the whole one would be, of the cost ``whole``, if it were
    always wrong.
    """
    if evaluation.status != "ok":
        return -math.log(whole(cost))
    return -(1 - evaluation.accuracy) * math.log(max(1, getattr(evaluation, cost)))


AMC_REWARDS = {"amc-flops": "multiply_adds", "amc-parameters": "parameters"}
"""The paper's rewards without a budget, R_FLOPs and R_Param, by the cost in them."""


class CompressionEnv(gym.Env[NDArray[np.float32], NDArray[np.float32]]):
    """
    ## Description
    An episode compresses a trained network, as AMC does (He et al. 2018): it walks over the layers,
    and each action chooses the share of a layer's channels that stay. Layers whose channels depend
    on each other, as those that a residual connection adds up, are one decision. The channels with
    the largest weights stay. The reward is the validation accuracy of what is left. The trained
    network itself never changes.

    Torch-Pruning cuts the channels: `pip install "nas-gym[compression]"`.

    ## Action Space
    The space is `Box(0, 1, (1,), float32)`: the share of the channels to keep, which becomes the
    nearest number of channels that is allowed, `least` of them and more. It is clipped such that
    the budget can still be met by cutting all later layers to their `least` (section 3.1,
    algorithm 1). PPO's actions start around 0: for it, `gymnasium.wrappers.RescaleAction(env,
    np.float32(-1), np.float32(1))` makes [-1, 1] of the range. DDPG, TD3 and SAC do so themselves.

    ## Observation Space
    `Box(0, 1, (11,), float32)`, the paper's description of layer t (section 3.1): its place t, its
    output and input channels n and c, height and width of its input, stride, size of its kernel,
    its multiply-adds, those cut so far (`reduced`) and those of the layers to come (`rest`), and
    the share that the layer before it kept, 1 at first. Each entry is divided by its largest value;
    the last three are shares already.

    ## Starting State
    Every layer is whole. Nothing is random, so `reset(seed=)` changes no episode.

    ## Rewards
    0 until the last layer; then a function of the compressed network's evaluation:

    - `reward="accuracy"` (default): its validation accuracy.
    - `reward="amc-flops"` or `"amc-parameters"`: -error x log(cost), with `keep=1`: the paper's
      search for the smallest network that is as accurate.
    - a reward by name as in the other environments, such as `{"name": "mnasnet", "cost":
      "parameters", "target": 1e4}`, or a function of the `nas_gym.Evaluation`.

    ## Episode End
    The episode terminates with the last layer. It is never truncated.

    ## Information
    | Key | When | Value |
    |---|---|---|
    | `layer` | always | the path of the layer to choose for; of the last one at the end |
    | `kept` | after a step | the channels that the layer keeps |
    | `architecture` | at the end | the compressed architecture as JSON |
    | `evaluation` | at the end | a dict: `accuracy`, `multiply_adds`, `parameters`, ... |

    ## Arguments
    ```python
    gym.make("nas_gym/Compression-v0", model="runs/photos/model", dataset="photos", keep=0.5)
    ```

    | Argument | Default | Meaning |
    |---|---|---|
    | `model` | `None` | a model folder, a run folder, a `nas_gym.Model`, or any classifier (`torch.nn.Module`), torchvision's for instance; by default, a small ResNet is trained on the data set first, in about a second on digits |
    | `dataset` | `"digits"` | a name, a file or a folder as in the other environments, or a `nas_gym.Dataset` |
    | `normalization` | `None` | `{"mean": [...], "std": [...]}` of pixels in [0, 1], for a model that is a plain module; default: the training images' own |
    | `image_size`, `split_seed`, `device` | | as in the other environments |
    | `reward`, `render_mode` | `"accuracy"`, `None` | see above; `"ansi"` |
    | `keep` | `0.5` | the share of the multiply-adds that may be left; 1 for no budget |
    | `least` | `0.2` | the smallest share of a layer's channels that is kept |
    | `multiple_of` | `1` | channels are kept in multiples of this number, or all are |
    | `importance` | `"l2"` | or `"l1"`: the norm of weights that ranks channels |
    | `recalibration_images` | `256` | training images from which batch normalization's statistics are computed again after the cut; 0 for none |
    | `finetune_epochs` | `0` | epochs of training before the validation |
    | `learning_rate`, `batch_size` | `0.01`, `128` | of this training |
    | `latency` | `None` | `{}` measures the latency of each result; `{"table": file}` predicts it |
    | `training_seed` | `0` | of this training, and of the default model's |

    `env.unwrapped.best` is the best network so far, `compressed()` gives it with its weights.

    ## References
    - Y. He, J. Lin, Z. Liu, H. Wang, L.-J. Li, S. Han. AMC: AutoML for Model Compression and
      Acceleration on Mobile Devices. ECCV 2018. https://arxiv.org/abs/1802.03494
    - G. Fang, X. Ma, M. Song, M. B. Mi, X. Wang. DepGraph: Towards Any Structural Pruning. CVPR
      2023. https://arxiv.org/abs/2301.12900

    ## Version History
    - v0: first version
    """  # noqa: E501  # the rows of a table are lines

    metadata = {"render_modes": ["ansi"], "render_fps": 4}  # noqa: RUF012 (as gymnasium.Env has it)

    def __init__(
        self,
        model: Any = None,
        dataset: str | Path | Dataset = "digits",
        reward: str | Mapping[str, Any] | AnyReward = "accuracy",
        render_mode: str | None = None,
        normalization: Mapping[str, Any] | None = None,
        image_size: int | None = None,
        split_seed: int = 0,
        device: str = "auto",
        **settings: Any,
    ) -> None:
        self.settings = CompressionSettings(**_known(settings))
        require_known([render_mode or "ansi"], self.metadata["render_modes"], "render_mode: ")
        self.render_mode, self.reward = render_mode, _reward(reward, self._whole)
        if not isinstance(dataset, Dataset):
            dataset = load_dataset(str(dataset), image_size, split_seed)
        on, seed = resolve_device(device), self.settings.training_seed
        subject = subject_of(model, dataset, normalization, on, seed)
        self.compressor = Compressor(subject, dataset, self.settings, on)
        """Cuts and evaluates; its `plan` knows the layers and their multiply-adds."""
        check_costs(self.reward, self.compressor)
        self.plan = self.compressor.plan
        self._walk = Walk(self.plan, self.settings)
        self.action_space = spaces.Box(0.0, 1.0, (1,), np.float32)
        self.observation_space = spaces.Box(0.0, 1.0, (len(FEATURES),), np.float32)
        self.finished: tuple[tuple[int, ...], Evaluation] | None = None
        """Channels and evaluation of the episode that ended last."""
        self.best: tuple[tuple[int, ...], Evaluation] | None = None
        """The same of the episode with the highest reward so far."""
        self._best_reward = -math.inf

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[NDArray[np.float32], dict[str, Any]]:
        """Start again with the whole network; nothing in an episode is drawn from ``seed``."""
        super().reset(seed=seed)
        require_known(options or (), (), "options: ")
        self._walk.kept = []
        return self._walk.observation(), {"layer": self.plan.groups[0].layer}

    def step(
        self, action: NDArray[np.float32]
    ) -> tuple[NDArray[np.float32], SupportsFloat, bool, bool, dict[str, Any]]:
        """Choose the share of a layer's channels; the last one triggers the evaluation.

        Raises:
            gymnasium.error.InvalidAction: the action is not one number in [0, 1].
            gymnasium.error.ResetNeeded: the episode has ended.
        """
        walk = self._walk
        if walk.ended:
            raise gym.error.ResetNeeded("call reset() first; it starts with the whole network")
        info: dict[str, Any] = {"kept": walk.choose(_share(action))}
        info["layer"] = self.plan.groups[walk.place].layer
        reward = self._finish(info) if walk.ended else 0.0
        return walk.observation(), reward, walk.ended, False, info

    def compressed(self, kept: tuple[int, ...] | None = None) -> Model:
        """Return a compressed network with its weights, a model as `load_model` gives it.

        ``kept`` are the channels of each layer, (T,); default: those of the best episode so far.

        Raises:
            InvalidSettings: no episode has ended, or the numbers are not those of T layers.
        """
        if kept is None:
            require(self.best is not None, "kept: no episode has ended; give the channels to keep")
            assert self.best is not None
            kept = self.best[0]
        every = [group.numbers(0, 1) for group in self.plan.groups]
        fits = len(kept) == len(every)
        fits = fits and all(number in each for number, each in zip(kept, every, strict=True))
        most = ", ".join(f"{each[0]} to {each[-1]}" for each in every)
        require(fits, f"kept: expected numbers of {most}, got {short(kept)}")
        return self.compressor.model(kept)

    def render(self) -> str | None:
        """Return one line for each layer: its channels, and how many of them stay."""
        if self.render_mode is None:
            gym.logger.warn("render() was called without a render_mode; give one to gym.make()")
            return None
        lines = [f"{self._walk.share:.1%} of {self.plan.total:,} multiply-adds"]
        open_ones = len(self.plan.groups) - len(self._walk.kept)
        kept = [*map(str, self._walk.kept), *["?"] * open_ones]
        for group, number in zip(self.plan.groups, kept, strict=True):
            lines.append(f"  {group.layer}: {number} of {group.channels}")
        return "\n".join(lines)

    def _whole(self, cost: str) -> int:
        """Return the multiply-adds or the parameters of the network that is compressed."""
        plan = self.plan
        return plan.total if cost == "multiply_adds" else count_parameters(plan.network)

    def _finish(self, info: dict[str, Any]) -> float:
        kept = tuple(self._walk.kept)
        evaluation, architecture, _ = self.compressor.compress(kept)
        info |= {"architecture": architecture.to_json(), "evaluation": evaluation.outcome()}
        self.finished, reward = (kept, evaluation), float(self.reward(evaluation))
        if reward > self._best_reward:
            self.best, self._best_reward = self.finished, reward
        return reward


def _known(settings: dict[str, Any]) -> dict[str, Any]:
    """Return settings whose names are known, or raise `UnknownArgument` with the nearest one."""
    own = [each.name for each in fields(CompressionSettings)]
    others = ["model", "dataset", "reward", "render_mode", "normalization"]
    for name in settings:
        if name not in own:
            known = [*own, *others, "image_size", "split_seed", "device"]
            hint = choices_hint(name, known)
            raise unknown_argument(settings, f"unexpected keyword argument {name!r}; {hint}")
    return settings


def _reward(
    reward: str | Mapping[str, Any] | AnyReward, whole: Callable[[str], int]
) -> Callable[[Evaluation], Any]:
    if isinstance(reward, str) and reward in AMC_REWARDS:
        return partial(error_by_cost, AMC_REWARDS[reward], whole)
    made = reward_by_name(reward)
    says = "reward: expected one number; several objectives are for environments that design"
    require(not isinstance(made, Objectives), says)
    return made


def _share(action: Any) -> float:
    """Return an action as a number, or raise `InvalidAction`."""
    try:
        [share] = np.asarray(action, dtype=np.float64).ravel().tolist()
    except (TypeError, ValueError):
        share = math.nan
    if not 0 <= share <= 1:
        says = f"action: expected one number from 0 to 1, got {short(action)}"
        raise gym.error.InvalidAction(says)
    return float(share)
