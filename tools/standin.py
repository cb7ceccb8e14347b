"""A device that computes on the CPU and is as strict as a GPU, for machines that have none.

:func:`install` makes ``torch.device("standin")`` known. Its tensors hold a tensor on the CPU, and every operation that
reaches torch's dispatcher is computed there. As with CUDA, they may not meet tensors on the CPU (but for single numbers
in elementwise operations, and indices), do not become NumPy arrays or curves in a figure before ``.cpu()``, and their
random numbers come from a generator of their own, which ``torch.manual_seed`` seeds and ``torch.get_rng_state`` leaves
out. Numbers can be compared with those of the CPU. What it cannot show: kernels of CUDA, their speed and rounding, CUDA
graphs, memory.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.utils import backend_registration
from torch.utils._mode_utils import no_dispatch
from torch.utils._pytree import tree_flatten, tree_map
from torch.utils.flop_counter import flop_registry

NAME = "standin"
AVAILABLE = hasattr(backend_registration, "_setup_privateuseone_for_python_backend")  # not in the oldest torch
#: Arguments that may be on the CPU: what is copied, and indices.
FROM_CPU = {"copy_": "all", "_copy_from": "all", "index": "indices", "index_put_": "indices", "index_put": "indices"}
FROM_CPU |= {"_index_put_impl_": "indices", "_unsafe_index": "indices"}
#: What autocast computes in low precision, and where it goes back to float32.
LOW = ("linear", "matmul", "mm", "bmm", "addmm", "baddbmm", "conv2d", "conv_transpose2d.input")
HIGH = ("softplus", "softmax.int", "log_softmax.int", "norm.ScalarOpt_dim", "mse_loss")

#: What the device has done since the program started; the seconds are the processor's. See tools/rehearse.py.
counts = {"operations": 0, "flops": 0, "bytes": 0, "seconds": 0.0}


class StandIn(Tensor):
    """A tensor of the device, around the one ``held`` on the CPU."""

    held: Tensor
    __torch_function__ = torch._C._disabled_torch_function_impl

    @staticmethod
    def __new__(cls, held: Tensor) -> StandIn:
        made = Tensor._make_wrapper_subclass(
            cls, held.size(), strides=held.stride(), storage_offset=held.storage_offset(), dtype=held.dtype,
            device=torch.device(NAME, 0),
        )  # fmt: skip
        made.held = held
        return made

    @classmethod
    def __torch_dispatch__(cls, operation: Any, types: Any, args: tuple = (), kwargs: dict | None = None) -> Any:
        began = time.process_time()
        try:
            return _compute(operation, args, kwargs or {})
        finally:
            counts["seconds"] += time.process_time() - began

    def numpy(self, *args: Any, **kwargs: Any) -> Any:
        raise TypeError(f"can't convert {NAME}:0 device type tensor to numpy. Use Tensor.cpu() first.")

    def __array__(self, *args: Any, **kwargs: Any) -> Any:
        return self.numpy()

    def tolist(self) -> Any:
        return self.detach().cpu().tolist()

    def __repr__(self, *args: Any, **kwargs: Any) -> str:
        return repr(self.detach().cpu())[:-1] + f", device='{NAME}:0')"

    def __format__(self, form: str) -> str:
        return format(self.detach().cpu(), form)

    def __reduce_ex__(self, protocol: int) -> Any:
        return self.detach().cpu().__reduce_ex__(protocol)  # files hold no device; torch.load says where to put it


def _compute(operation: Any, args: tuple, kwargs: dict[str, Any]) -> Any:
    """Compute on the CPU; returns what is computed on the device, unless it was asked for elsewhere."""
    name, tags = operation._schema.name.removeprefix("aten::"), operation.tags
    flat, _ = tree_flatten((args, kwargs))
    devices = [x for x in flat if isinstance(x, StandIn)]
    strangers = [x for x in flat if isinstance(x, Tensor) and not isinstance(x, StandIn)]
    if torch.Tag.pointwise in tags or name.startswith(("_foreach_", "masked_fill")):
        strangers = [x for x in strangers if x.ndim]
    allowed = FROM_CPU.get(name)
    if allowed == "indices" and isinstance(args[0], StandIn):
        strangers = [x for x in strangers if not any(x is i for i in args[1])]
        strangers = [x for x in strangers if x.numel() != 1]
    if strangers and devices and allowed != "all":
        raise RuntimeError(
            f"Expected all tensors to be on the same device, but found at least two devices, {NAME}:0 and cpu!"
            f" ({operation})"
        )
    generator = kwargs.get("generator")
    for x in flat:
        if isinstance(x, torch.Generator):
            generator = x
    if generator is not None:
        raise RuntimeError(f"Expected a '{NAME}' device type for generator but found '{generator.device.type}'")

    held = {id(x.held): x for x in devices}
    inner_args, inner_kwargs = tree_map(_held, args), tree_map(_held, kwargs)
    where = kwargs.get("device")
    stays = where is None or torch.device(where).type == NAME
    if where is not None and stays:
        inner_kwargs["device"] = torch.device("cpu")
    if torch.Tag.nondeterministic_seeded in tags or name == "randperm":
        with _own_generator():
            out = operation(*inner_args, **inner_kwargs)
    else:
        out = operation(*inner_args, **inner_kwargs)
    _count(operation, inner_args, inner_kwargs, flat, out)
    if torch.Tag.inplace_view in tags:  # a tensor that gets another shape where it is, as in torch.stft
        with no_dispatch():
            operation(*args, **kwargs)
    if not stays:
        # torch would return the held tensor itself where nothing has to be converted
        return tree_map(lambda x: x.clone() if id(x) in held else x, out) if isinstance(out, Tensor) else out

    def outer(x: Any) -> Any:
        if not isinstance(x, Tensor):
            return x
        same = held.get(id(x))
        if same is not None and same.shape == x.shape and same.stride() == x.stride():
            return same  # changed in place
        return StandIn(x)

    return tree_map(outer, out)


def _held(x: Any) -> Any:
    return x.held if isinstance(x, StandIn) else x


def _count(operation: Any, args: tuple, kwargs: dict[str, Any], flat: list, out: Any) -> None:
    if operation.is_view:
        return
    counts["operations"] += 1
    if (flops := flop_registry.get(operation.overloadpacket)) is not None:
        counts["flops"] += flops(*args, **kwargs, out_val=out)
    tensors = [x for x in [*flat, *tree_flatten(out)[0]] if isinstance(x, Tensor)]
    counts["bytes"] += sum(x.numel() * x.element_size() for x in tensors)


# --- the device's generator -----------------------------------------------------------------------


class Module:
    """What torch asks of a device, as ``torch.standin``."""

    state = torch.Generator().manual_seed(0).get_state()

    def is_initialized(self) -> bool:
        return True

    def is_available(self) -> bool:
        return True

    def device_count(self) -> int:
        return 1

    def current_device(self) -> int:
        return 0

    def _is_in_bad_fork(self) -> bool:
        return False

    def manual_seed_all(self, seed: int) -> None:
        self.state = torch.Generator().manual_seed(seed).get_state()

    def get_rng_state(self, device: Any = None) -> Tensor:
        return self.state.clone()

    def set_rng_state(self, state: Tensor, device: Any = None) -> None:
        self.state = state.clone()

    def get_amp_supported_dtype(self) -> list[torch.dtype]:
        return [torch.bfloat16, torch.float16]


@contextmanager
def _own_generator() -> Iterator[None]:
    """Draw what the CPU draws from the device's generator."""
    of_cpu, module = torch.get_rng_state(), getattr(torch, NAME)
    torch.set_rng_state(module.state)
    try:
        yield
    finally:
        module.state = torch.get_rng_state()
        torch.set_rng_state(of_cpu)


# --- registration ---------------------------------------------------------------------------------

_libraries: list[torch.library.Library] = []  # they must live as long as the device


def install() -> None:
    """Make the device known to torch, in this process, for ever; what runs on other devices is not changed."""
    if _libraries:
        return
    backend_registration._setup_privateuseone_for_python_backend(NAME, Module())
    library = torch.library.Library("aten", "IMPL")
    _libraries.append(library)

    def empty(size: list[int], *, dtype: Any = None, memory_format: Any = None, **_: Any) -> StandIn:
        return StandIn(torch.empty(size, dtype=dtype, memory_format=memory_format))

    def empty_strided(size: list[int], stride: list[int], *, dtype: Any = None, **_: Any) -> StandIn:
        return StandIn(torch.empty_strided(size, stride, dtype=dtype))

    def copy_from(source: Tensor, target: Tensor, non_blocking: bool = False) -> Tensor:
        _held(target).copy_(_held(source))
        return target

    def arange(*numbers: float, dtype: Any = None, **_: Any) -> StandIn:  # torch's own resizes an empty tensor in place
        return StandIn(torch.arange(*numbers, dtype=dtype))

    for name, made in (("empty.memory_format", empty), ("empty_strided", empty_strided), ("_copy_from", copy_from)):
        library.impl(name, made, "PrivateUse1")
    for overload in ("arange", "arange.start", "arange.start_step"):
        library.impl(overload, arange, "PrivateUse1")
    rest = torch.library.Library("_", "IMPL")
    rest.fallback(torch.library.fallthrough_kernel, "AutocastPrivateUse1")
    _libraries.append(rest)
    for names, dtype in ((LOW, None), (HIGH, torch.float32)):
        for name in names:
            library.impl(name, _autocast(name, dtype), "AutocastPrivateUse1")

    load = torch.load

    @functools.wraps(load)
    def load_there(file: Any, map_location: Any = None, **options: Any) -> Any:
        if map_location is None or torch.device(map_location).type != NAME:
            return load(file, map_location, **options)
        state = load(file, "cpu", **options)
        return tree_map(lambda x: x.to(map_location) if isinstance(x, Tensor) else x, state)

    torch.load = load_there


def _autocast(name: str, dtype: torch.dtype | None) -> Callable[..., Tensor]:
    packet, _, overload = name.partition(".")
    operation = getattr(getattr(torch.ops.aten, packet), overload or "default")
    keys = torch._C.DispatchKeySet(torch._C.DispatchKey.AutocastPrivateUse1)

    def cast(*args: Any, **kwargs: Any) -> Tensor:
        to = dtype or torch.get_autocast_dtype(NAME)

        def converted(x: Any) -> Any:
            changes = isinstance(x, Tensor) and x.is_floating_point() and x.dtype != torch.float64
            return x.to(to) if changes else x

        with torch._C._ExcludeDispatchKeyGuard(keys):
            args, kwargs = tree_map(converted, (args, kwargs))
            return operation(*args, **kwargs)

    return cast


@contextmanager
def on_device() -> Iterator[torch.device]:
    """Within it, modules can be moved to the device with the optimizers that hold their weights, as to a GPU."""
    install()
    before = torch.__future__.get_swap_module_params_on_conversion()
    torch.__future__.set_swap_module_params_on_conversion(True)
    try:
        yield torch.device(NAME)
    finally:
        torch.__future__.set_swap_module_params_on_conversion(before)
