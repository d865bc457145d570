"""The supernet of ENAS's macro search space."""

from __future__ import annotations

from torch import Tensor, nn

from nas_gym.architecture import Architecture, InvalidArchitecture
from nas_gym.families.enas.macro_network import (
    MacroNetwork,
    MacroNetworkSettings,
    MacroStack,
    halved_by,
    operation,
)
from nas_gym.families.enas.macro_search_space import (
    MACRO_OPERATIONS,
    ENASMacroArchitecture,
    ENASMacroSearchSpace,
    MacroLayer,
    pooled_after,
)
from nas_gym.networks.base import ImageShape, NetworkSettings
from nas_gym.weight_sharing.supernet import (
    FORM,
    Supernet,
    built_child,
    checked_settings,
    copy_weights,
    match_statistics,
    no_child,
    use_batch_statistics,
)


class SharedLayer(nn.Module):
    """All weights of a macro layer; ``layer`` selects those of the forward pass."""

    layer: MacroLayer

    def __init__(self, filters: int, first: bool) -> None:
        super().__init__()
        self.operations = nn.ModuleDict(
            {label: operation(label, filters, FORM) for label in MACRO_OPERATIONS}
        )
        self.join = nn.Identity() if first else nn.BatchNorm2d(filters)

    def forward(self, outputs: list[Tensor]) -> Tensor:
        output: Tensor = self.operations[self.layer.operation](outputs[-1])
        joined: Tensor = self.join(sum((outputs[source] for source in self.layer.skips), output))
        return joined


class MacroSupernet(MacroStack, Supernet):
    """The supernet of ENAS's macro search space, of L layers."""

    def __init__(self, layers: int, shape: ImageShape, settings: MacroNetworkSettings) -> None:
        halved = {number: list(range(number + 1)) for number in pooled_after(layers)}
        super().__init__(
            layers, shape, settings, lambda n, filters: SharedLayer(filters, n == 1), halved
        )
        self.image_shape, self.settings = shape, settings

    def set_architecture(self, architecture: Architecture) -> None:
        pairs = self._pairs(architecture)
        for module, layer in pairs:
            module.layer = layer
        self.halved = halved_by([layer for _, layer in pairs])

    def path(self, architecture: Architecture) -> list[nn.Module]:
        pairs = self._pairs(architecture)
        modules: list[nn.Module] = [self.stem, self.classifier]
        for module, layer in pairs:
            modules += [module.operations[layer.operation], module.join]
        for number, outputs in halved_by([layer for _, layer in pairs]).items():
            modules += [self.reduction(number, output) for output in outputs]
        return modules

    def child(self, architecture: Architecture) -> MacroNetwork:
        pairs = self._pairs(architecture)
        network = built_child(MacroNetwork, architecture, self.image_shape, self.settings)
        match_statistics(self, network)
        copy_weights(self.stem, network.stem)
        copy_weights(self.classifier, network.classifier)
        for (shared, layer), own in zip(pairs, network.layers, strict=True):
            copy_weights(shared.operations[layer.operation], own.get_submodule("operation"))
            copy_weights(shared.join, own.get_submodule("join"))
        for number, outputs in network.halved.items():
            for output in outputs:
                copy_weights(self.reduction(number, output), network.reduction(number, output))
        return network

    def _pairs(self, architecture: Architecture) -> list[tuple[SharedLayer, MacroLayer]]:
        """Return each shared layer with the child's layer in its place."""
        if not isinstance(architecture, ENASMacroArchitecture):
            raise no_child(architecture, "enas_macro")
        if len(architecture.layers) != len(self.layers):
            raise InvalidArchitecture(
                f"layers: {len(architecture.layers)} layers; this supernet has {len(self.layers)}"
            )
        modules = [module for module in self.layers if isinstance(module, SharedLayer)]
        return list(zip(modules, architecture.layers, strict=True))


def macro_supernet(
    search_space: ENASMacroSearchSpace,
    image_shape: ImageShape,
    settings: NetworkSettings | None = None,
    batch_statistics: bool | None = None,
) -> Supernet:
    """Build the supernet; see `nas_gym.weight_sharing.supernet.build_supernet`."""
    released = MacroNetworkSettings(filters=36, form=FORM)
    checked = checked_settings(MacroNetworkSettings, released if settings is None else settings)
    supernet = MacroSupernet(search_space.layers, image_shape, checked)
    if batch_statistics:
        use_batch_statistics(supernet.modules())
    return supernet
