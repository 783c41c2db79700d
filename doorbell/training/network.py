"""The networks of ``doorbell.networks`` made trainable in PyTorch, by the same functions.

A network that is trained from the beginning has batch normalization after every convolution but
those of the heads; what is exported has it folded into kernel and bias, and is the network as it is
written down. One that is trained on from such weights has none.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from doorbell.domain import Float32Array
from doorbell.networks.blazeface import REGRESSOR_VALUES
from doorbell.networks.graph import Tensor, WeightSource, same_padding

if TYPE_CHECKING:
    import torch

# A head that gives pixels computes in units of this many: its weights are then as large as others.
UNIT_PIXELS = 16.0

# Of an untrained network's scores: one anchor in a hundred sees a face (Lin et al., 2017, 3.3).
FIRST_LOGIT = -4.6

# PyTorch's own for batch normalization: what is added to the variance, and the part that each batch
# has in the mean and the variance that are kept.
EPSILON, MOMENTUM = 1e-5, 0.1


class Convolution:
    """A convolution as ``GraphBuilder`` adds it.

    With batch normalization unless it has weights or is a head.

    Attributes:
        height, width: of what it gives.
        learned: what is trained: ``weight``, and ``bias`` or ``scale`` and ``shift``.
        running: ``mean`` and ``variance`` of what is normalized.
    """

    def __init__(
        self,
        x: Tensor,
        channels: int,
        *,
        kernel: int,
        stride: int,
        groups: int,
        weights: WeightSource | None,
    ) -> None:
        import torch

        self.height, top, bottom = same_padding(x.height, kernel, stride)
        self.width, left, right = same_padding(x.width, kernel, stride)
        self._pads = (left, right, top, bottom)
        self._even = left == right == top == bottom
        self._stride, self._groups, self._unit = stride, groups, 1.0
        self.running: dict[str, torch.Tensor] = {}
        shape = channels, x.channels // groups, kernel, kernel
        if weights is None:
            weight = torch.randn(shape) * float(1 / (shape[1] * kernel * kernel)) ** 0.5
            self.learned = {
                "weight": weight,
                "scale": torch.ones(channels),
                "shift": torch.zeros(channels),
            }
            self.running = {"mean": torch.zeros(channels), "variance": torch.ones(channels)}
        else:
            weight, bias = (torch.tensor(values) for values in weights.take(shape))
            self.learned = {"weight": weight, "bias": bias}

    def make_head(self, unit: float) -> None:
        """Give it a bias instead of normalization, and outputs in units of ``unit``."""
        import torch

        if self.running:
            weight = self.learned["weight"]
            self.learned = {"weight": weight, "bias": torch.zeros(len(weight))}
            self.running, self._unit = {}, unit

    def compute(self, x: torch.Tensor, *, training: bool) -> torch.Tensor:
        """Convolve (batch, channels, height, width)."""
        from torch.nn import functional

        if not self._even:
            x = functional.pad(x, self._pads)
        y = functional.conv2d(
            x,
            self.learned["weight"],
            self.learned.get("bias"),
            self._stride,
            padding=self._pads[0] if self._even else 0,
            groups=self._groups,
        )
        if not self.running:
            return y * self._unit
        return functional.batch_norm(
            y,
            self.running["mean"],
            self.running["variance"],
            self.learned["scale"],
            self.learned["shift"],
            training,
            MOMENTUM,
            EPSILON,
        )

    def folded(self) -> tuple[Float32Array, Float32Array]:
        """Kernel and bias that give the same by themselves, as a ``WeightSource`` has them."""
        weight = self.learned["weight"].detach()
        if self.running:
            scale = self.learned["scale"].detach() / (self.running["variance"] + EPSILON).sqrt()
            kernel = weight * scale[:, None, None, None]
            bias = self.learned["shift"].detach() - self.running["mean"] * scale
        else:
            kernel, bias = weight * self._unit, self.learned["bias"].detach() * self._unit
        # A copy each: NumPy would share the memory that training goes on to change.
        return kernel.cpu().float().numpy().copy(), bias.cpu().float().numpy().copy()


@dataclass(frozen=True, slots=True)
class _Step:
    output: str
    operation: Callable[..., torch.Tensor] | Convolution
    inputs: tuple[str, ...]


class TrainableNetwork:
    """A network that a ``TrainableBuilder`` has built.

    Attributes:
        name: of the network.
        input_pixels: side of the square that it takes.
        convolutions: in their order.
    """

    def __init__(
        self,
        name: str,
        outputs: Mapping[str, tuple[int, int]],
        input_pixels: int,
        steps: Sequence[_Step],
        heads: Sequence[tuple[Convolution, int]],
    ) -> None:
        self.name, self.input_pixels = name, input_pixels
        self.convolutions = [
            step.operation for step in steps if isinstance(step.operation, Convolution)
        ]
        self._outputs, self._steps, self._heads = tuple(outputs), steps, heads
        # The last step that needs a value: what nothing needs any more is let go.
        self._needed = {x: i for i, step in enumerate(steps) for x in step.inputs}

    def compute(self, images: torch.Tensor, *, training: bool = False) -> dict[str, torch.Tensor]:
        """Compute the outputs, (batch, anchors, values), of images (batch, 3, side, side).

        Args:
            images: -1 to 1.
            training: whether to normalize by these images and to remember their means.
        """
        values = {"image": images}
        for i, step in enumerate(self._steps):
            inputs = [values[x] for x in step.inputs]
            if isinstance(step.operation, Convolution):
                values[step.output] = step.operation.compute(*inputs, training=training)
            else:
                values[step.output] = step.operation(*inputs)
            for x in set(step.inputs):
                if self._needed[x] == i:
                    del values[x]
        return {output: values[output] for output in self._outputs}

    def parameters(self) -> Iterator[torch.Tensor]:
        """What is trained."""
        for convolution in self.convolutions:
            yield from convolution.learned.values()

    def to(self, device: torch.device) -> None:
        """Move it to a device, in the layout that convolutions there are fastest in."""
        import torch

        for convolution in self.convolutions:
            for held in (convolution.learned, convolution.running):
                for name, values in held.items():
                    layout = torch.channels_last if values.ndim == 4 else torch.preserve_format
                    held[name] = values.detach().to(device, memory_format=layout)
            for values in convolution.learned.values():
                values.requires_grad_()

    def state(self) -> dict[str, torch.Tensor]:
        """All that it has learned, by name."""
        return {
            f"{index}.{name}": values.detach()
            for index, convolution in enumerate(self.convolutions)
            for name, values in {**convolution.learned, **convolution.running}.items()
        }

    def take_over(self, state: Mapping[str, torch.Tensor]) -> None:
        """Have what another of the same network had learned."""
        for name, values in self.state().items():
            values.copy_(state[name])

    def folded(self) -> list[tuple[Float32Array, Float32Array]]:
        """Kernel and bias of each convolution, with which ``doorbell.networks`` writes it down."""
        return [convolution.folded() for convolution in self.convolutions]

    def begin_at(self, sides: Sequence[Sequence[float]]) -> None:
        """Let every box begin in the size of its anchor, and every score low.

        Args:
            sides: in pixels, of the anchors of a cell, for each layer that has a head for boxes.
        """
        layers = iter(sides)
        for head, values in self._heads:
            bias = head.learned["bias"]
            if values == REGRESSOR_VALUES:
                of_cell = bias.new_tensor(next(layers)) / UNIT_PIXELS
                bias.view(-1, values)[:, 2:4] = of_cell[:, None]
            else:
                bias.fill_(FIRST_LOGIT)


class TrainableBuilder:
    """Builds a network that can be trained; see ``doorbell.networks.graph``.

    Args:
        weights: to go on from; random without.
    """

    def __init__(self, weights: WeightSource | None = None) -> None:
        self._weights = weights
        self._steps: list[_Step] = []
        self._made: dict[str, Convolution] = {}
        self._heads: list[tuple[Convolution, int]] = []
        self._input_pixels = 0

    def image(self, size: int) -> Tensor:
        """Declare the input; see ``Builder``, as for the others."""
        self._input_pixels = size
        return Tensor("image", 3, size, size)

    def convolution(self, x: Tensor, channels: int, *, kernel: int = 1, stride: int = 1) -> Tensor:
        """Add a plain convolution."""
        return self._convolve(x, channels, kernel, stride, groups=1)

    def depthwise(self, x: Tensor, *, kernel: int = 3, stride: int = 1) -> Tensor:
        """Add a depthwise convolution."""
        return self._convolve(x, x.channels, kernel, stride, groups=x.channels)

    def relu(self, x: Tensor) -> Tensor:
        """Add a ReLU."""
        from torch.nn import functional

        return Tensor(self._step(functional.relu, x.name), x.channels, x.height, x.width)

    def relu6(self, x: Tensor) -> Tensor:
        """Add a ReLU that ends at 6."""
        from torch.nn import functional

        return Tensor(self._step(functional.relu6, x.name), x.channels, x.height, x.width)

    def add(self, x: Tensor, y: Tensor) -> Tensor:
        """Add two tensors of one shape."""
        import torch

        return Tensor(self._step(torch.add, x.name, y.name), x.channels, x.height, x.width)

    def max_pool(self, x: Tensor) -> Tensor:
        """Halve height and width by the maximum of 2x2."""
        from torch.nn import functional

        name = self._step(partial(functional.max_pool2d, kernel_size=2), x.name)
        return Tensor(name, x.channels, x.height // 2, x.width // 2)

    def pad_channels(self, x: Tensor, channels: int) -> Tensor:
        """Append zero channels up to ``channels``."""
        from torch.nn import functional

        if channels == x.channels:
            return x
        pads = (0, 0, 0, 0, 0, channels - x.channels)
        name = self._step(partial(functional.pad, pad=pads), x.name)
        return Tensor(name, channels, x.height, x.width)

    def upsample(self, x: Tensor) -> Tensor:
        """Double height and width, bilinear over pixel centres."""
        from torch.nn import functional

        double = partial(functional.interpolate, scale_factor=2, mode="bilinear")
        return Tensor(self._step(double, x.name), x.channels, x.height * 2, x.width * 2)

    def per_anchor(self, x: Tensor, values: int, *, output: str | None = None) -> str:
        """Rearrange to (batch, anchors, values); what gives ``x`` is a head."""
        head = self._made[x.name]
        head.make_head(UNIT_PIXELS if values == REGRESSOR_VALUES else 1.0)
        self._heads.append((head, values))
        return self._step(partial(_per_anchor, values=values), x.name, output=output)

    def concatenate_anchors(self, parts: list[str], *, output: str) -> None:
        """Join several layers to an output of the network."""
        self._step(_concatenated, *parts, output=output)

    def model(self, name: str, outputs: dict[str, tuple[int, int]]) -> TrainableNetwork:
        """Finish the network."""
        if self._weights is not None:
            self._weights.finish()
        return TrainableNetwork(name, outputs, self._input_pixels, self._steps, self._heads)

    def _convolve(self, x: Tensor, channels: int, kernel: int, stride: int, groups: int) -> Tensor:
        made = Convolution(
            x, channels, kernel=kernel, stride=stride, groups=groups, weights=self._weights
        )
        name = self._step(made, x.name)
        self._made[name] = made
        return Tensor(name, channels, made.height, made.width)

    def _step(
        self,
        operation: Callable[..., torch.Tensor] | Convolution,
        *inputs: str,
        output: str | None = None,
    ) -> str:
        name = output or f"step_{len(self._steps)}"
        self._steps.append(_Step(name, operation, inputs))
        return name


def _per_anchor(x: torch.Tensor, *, values: int) -> torch.Tensor:
    return x.permute(0, 2, 3, 1).reshape(len(x), -1, values)


def _concatenated(*parts: torch.Tensor) -> torch.Tensor:
    import torch

    return torch.cat(parts, 1)
