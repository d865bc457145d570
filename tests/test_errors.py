"""Messages of errors name the nearest choice, and count in the singular, too."""

import pytest

from nas_gym.errors import choices_hint, counted


@pytest.mark.parametrize(
    ("given", "valid", "nearest"),
    [
        ("nasnet-v0", ["nas_gym/NASNet-v0", "NASNet-v0", "NAS-v0"], "NASNet-v0"),
        ("PPO", ["a2c", "dqn", "ppo"], "ppo"),
        ("CIFAR10", ["cifar100", "cifar10"], "cifar10"),
        ("RANDM", ["random", "grid"], "random"),
        ("NASNet-B", ["MnasNet-B1", "NASNet-A"], "NASNet-A"),
    ],
)
def test_the_nearest_choice_is_named_whatever_its_case(
    given: str, valid: list[str], nearest: str
) -> None:
    assert choices_hint(given, valid).startswith(f"did you mean {nearest!r}? valid choices: ")


@pytest.mark.parametrize("given", ["nothing of the kind", "", None, 3])
def test_what_is_far_from_all_choices_names_them(given: object) -> None:
    assert choices_hint(given, ["a2c", "ppo"]) == "valid choices: 'a2c', 'ppo'"


def test_a_number_agrees_with_its_noun() -> None:
    said = [counted(1, "epoch"), counted(0, "epoch"), counted(1079, "image"), counted(2, "child")]
    assert said == ["1 epoch", "0 epochs", "1,079 images", "2 children"]
