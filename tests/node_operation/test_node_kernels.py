"""The C kernels of the node operation against the plain ones in float64, whatever the sizes and threads."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dnw_graph.graph.node_spec import NodeSpec
from dnw_graph.native import library
from dnw_graph.node_operation import node_kernels, reasons
from dnw_graph.node_operation.native import NativeNodeKernels
from dnw_graph.node_operation.plain import PlainNodeKernels

pytestmark = pytest.mark.skipif(
    library.reason() is not None, reason="the C kernels are not built: no compiler"
)

RELU = NodeSpec("batch")
NATIVE, PLAIN = NativeNodeKernels(), PlainNodeKernels(RELU)
INSTRUCTIONS = library.supported() if library.reason() is None else ["portable"]

# Vectors have 8 or 16 lanes, one for each image; a strip has 4 rows or more, as many as fit 24 KiB.
IMAGES = st.sampled_from([1, 2, 7, 8, 9, 15, 16, 17, 33])
SIDES = st.one_of(
    st.tuples(st.integers(1, 9), st.integers(1, 9)),
    st.sampled_from([(1, 1), (1, 33), (33, 1), (7, 7), (8, 8), (14, 14), (15, 14), (33, 33), (40, 31)]),
)
# Rows so wide that a map takes several strips of 4.
WIDE = st.tuples(st.sampled_from([3, 4, 5, 8, 9, 13]), st.sampled_from([112, 127, 300]))


@contextmanager
def kernels(threads=1, instructions=INSTRUCTIONS[0]):
    """The C kernels with so many threads and these instructions; torch's own operations keep theirs."""
    before = torch.get_num_threads()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(library, "instructions", lambda: instructions)
        try:
            torch.set_num_threads(threads)
            yield NATIVE
        finally:
            torch.set_num_threads(before)


def everything(native, case):
    """Statistics of each node and of each map, h, and the four gradients."""
    nodes, images = case.z.shape[:2]
    groups = (nodes, nodes * images)
    statistics = [each for count in groups for each in native.statistics(case.z, count)]
    return [*statistics, native.forward(*case.forward), *native.backward(*case.backward, True)]


def assert_is_the_plain_one(assert_near, case, through_statistics, **options):
    exact, (size_of_h, sizes) = case.exact(), case.sizes(through_statistics)
    into = torch.full_like(case.z, torch.nan)
    with kernels(**options) as native:
        h = native.forward(*case.forward)
        found = native.backward(*case.backward, through_statistics, into)
        assert found.z.data_ptr() == into.data_ptr()
        assert torch.equal(native.backward(*case.backward, through_statistics).z, into)
    assert_near(h, PLAIN.forward(*exact.forward), size_of_h)
    wanted = PLAIN.backward(*exact.backward, through_statistics)
    for got, expected, size in zip(found, wanted, sizes, strict=True):
        assert_near(got, expected, size)


@given(
    nodes=st.integers(1, 5),
    images=IMAGES,
    sides=SIDES,
    stride=st.sampled_from([1, 2]),
    per_map=st.booleans(),
    through_statistics=st.booleans(),
    offset=st.sampled_from([0.0, 3.0, 1000.0]),
    unit=st.sampled_from([0.01, 1.0, 100.0]),
    threads=st.integers(1, 4),
    instructions=st.sampled_from(INSTRUCTIONS),
    seed=st.integers(0, 99),
)
@settings(max_examples=150, deadline=None)
def test_forward_and_backward_are_the_plain_ones(
    operation, assert_near, nodes, images, sides, stride, per_map, through_statistics, offset, unit, threads,
    instructions, seed,
):  # fmt: skip
    case = operation(nodes, images, *sides, stride, per_map, offset, unit, seed)
    options = {"threads": threads, "instructions": instructions}
    assert_is_the_plain_one(assert_near, case, through_statistics, **options)


@given(
    sides=WIDE,
    images=st.sampled_from([1, 9, 16]),
    stride=st.sampled_from([1, 2]),
    per_map=st.booleans(),
    instructions=st.sampled_from(INSTRUCTIONS),
)
@settings(max_examples=25, deadline=None)
def test_strips_of_wide_maps_join_without_a_seam(
    operation, assert_near, sides, images, stride, per_map, instructions
):
    case = operation(1, images, *sides, stride, per_map)
    assert_is_the_plain_one(assert_near, case, True, instructions=instructions)


@given(
    nodes=st.integers(1, 4),
    images=IMAGES,
    sides=st.one_of(SIDES, WIDE),
    offset=st.sampled_from([0.0, 10.0, 1e4]),
    unit=st.sampled_from([1e-3, 1.0, 1e3]),
    instructions=st.sampled_from(INSTRUCTIONS),
    seed=st.integers(0, 99),
)
@settings(max_examples=80, deadline=None)
def test_statistics_are_exact_but_for_rounding(
    operation, assert_near, nodes, images, sides, offset, unit, instructions, seed
):
    """A variance keeps its digits where values are thousands of times their spread from 0."""
    case = operation(nodes, images, *sides, offset=offset, unit=unit, seed=seed)
    for groups in (nodes, nodes * images):
        with kernels(instructions=instructions) as native:
            mean, variance = native.statistics(case.z, groups)
        exact_mean, exact_variance = PLAIN.statistics(case.z.double(), groups)
        # A mean near 0 comes of values that are not, and are rounded.
        assert_near(mean, exact_mean, exact_mean.abs() + exact_variance.sqrt(), units=1)
        assert_near(variance, exact_variance, exact_variance, units=16)


@pytest.mark.parametrize("instructions", INSTRUCTIONS)
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("per_map", [False, True])
@pytest.mark.parametrize("sides", [(9, 30), (6, 16)])
def test_threads_change_no_bit(operation, sides, per_map, stride, instructions):
    case, results = operation(11, 17, *sides, stride, per_map), []
    for threads in (1, 2, 3, 8, 16):
        with kernels(threads, instructions) as native:
            results.append(everything(native, case))
    for result in results[1:]:
        assert all(torch.equal(a, b) for a, b in zip(result, results[0], strict=True))


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("sides", [(6, 7), (6, 16)])
def test_an_image_in_a_batch_is_the_image_alone(operation, sides, stride):
    """To the last bit, in whichever lane it lies."""
    case = operation(3, 19, *sides, stride, per_map=True)
    h, grad_z = NATIVE.forward(*case.forward), NATIVE.backward(*case.backward, True).z
    mean, rstd = case.mean.reshape(3, 19), case.rstd.reshape(3, 19)
    for image in (0, 7, 15, 16, 18):
        here = slice(image, image + 1)
        z, g = case.z[:, here].contiguous(), case.g[:, here].contiguous()
        alone = replace(case, z=z, g=g, mean=mean[:, image].contiguous(), rstd=rstd[:, image].contiguous())
        assert torch.equal(NATIVE.forward(*alone.forward), h[:, here])
        assert torch.equal(NATIVE.backward(*alone.backward, True).z, grad_z[:, here])


@pytest.mark.parametrize("per_map", [False, True])
@pytest.mark.parametrize("value", [0.0, 7.0, -0.1, 12345.678])
def test_constant_maps_have_no_variance_and_finite_gradients(operation, assert_near, value, per_map):
    case = operation(2, 9, 15, 14, 1, per_map)
    case = replace(case, z=torch.full_like(case.z, value))
    mean, variance = NATIVE.statistics(case.z, case.mean.numel())
    assert torch.equal(mean, torch.full_like(mean, value))
    assert 0 <= float(variance.min()) <= float(variance.max()) <= 1e-20 * value**2
    case = replace(case, mean=mean, rstd=(variance + 1e-5).rsqrt()).away_from_kinks()
    assert all(bool(each.isfinite().all()) for each in everything(NATIVE, case))
    assert_is_the_plain_one(assert_near, case, True)


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("lost", [torch.nan, torch.inf])
def test_nan_stays_nan_and_among_its_own(operation, lost, stride):
    """A pixel that is lost spoils its node's sums and the 3×3 pixels around it, and no other node or map."""
    case = operation(3, 9, 6, 7, stride)
    case.z[1, 8, 2, 3] = lost
    for groups, spoilt in ((3, 1), (27, 17)):
        for each in NATIVE.statistics(case.z, groups):
            assert each.isfinite().logical_not().nonzero().tolist() == [[spoilt]]
        assert bool(NATIVE.statistics(case.z, groups)[1][spoilt].isnan())
    case.z[1, 8, 2, 3] = torch.nan
    h = NATIVE.forward(*case.forward)
    assert torch.equal(h.isnan(), PLAIN.forward(*case.exact().forward).isnan())
    assert int(h.isnan().sum()) == (9 if stride == 1 else 2)
    gradients = NATIVE.backward(*case.backward, True)
    # The shift's gradient is a sum of g alone.
    for got in (gradients.z, gradients.scale, gradients.kernel):
        assert got.isnan().reshape(3, -1).any(1).tolist() == [False, True, False]
    assert bool(gradients.z[1].isnan().all())
    assert bool(gradients.shift.isfinite().all())


def test_they_are_chosen_for_float32_on_a_cpu():
    cpu = torch.device("cpu")
    assert isinstance(node_kernels(cpu, torch.float32, RELU), NativeNodeKernels)
    assert isinstance(node_kernels(cpu, torch.float64, RELU), PlainNodeKernels)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"activation": "silu"}, "the C kernels know activation relu, not silu"),
        ({"kernel_size": 5}, "the C kernels know 3×3 convolutions of stride 1 and 2, not 5×5 of stride 1"),
        ({"stride": 3}, "the C kernels know 3×3 convolutions of stride 1 and 2, not 3×3 of stride 3"),
    ],
)
def test_what_they_lack_torch_does_and_the_reason_is_told(change, reason):
    spec, cpu = replace(RELU, **change), torch.device("cpu")
    assert isinstance(node_kernels(cpu, torch.float32, spec), PlainNodeKernels)
    found = reasons(cpu, torch.float32, spec)
    assert found == {"native": reason, "triton": "Triton kernels run on CUDA devices", "plain": None}


REFUSED = {
    "z in float64": {"z": lambda z: z.double()},
    "z in float16": {"z": lambda z: z.half()},
    "z transposed": {"z": lambda z: z.transpose(2, 3).contiguous().transpose(2, 3)},
    "z of three axes": {"z": lambda z: z[0]},
    "kernel in float64": {"kernel": lambda kernel: kernel.double()},
    "one kernel for all": {"kernel": lambda kernel: kernel[:1].expand(4, 1, 3, 3)},
    "kernels of 2×2": {"kernel": lambda kernel: kernel[:, :, :2, :2].contiguous()},
    "a kernel too few": {"kernel": lambda kernel: kernel[1:]},
    "a mean too few": {"mean": lambda mean: mean[1:]},
    "no mean": {"mean": lambda mean: mean[:0], "rstd": lambda rstd: rstd[:0]},
    "rstd of maps, mean of nodes": {"rstd": lambda rstd: rstd.repeat(3)},
    "a scale too few": {"scale": lambda scale: scale[1:]},
    "a shift too many": {"shift": lambda shift: shift.repeat(2)},
    "stride 0": {"stride": lambda stride: 0},
    "stride 3": {"stride": lambda stride: 3},
}


def changed(case, how):
    return replace(case, **{name: change(getattr(case, name)) for name, change in how.items()})


@pytest.mark.parametrize("how", REFUSED.values(), ids=REFUSED)
def test_operands_that_do_not_fit_are_refused(operation, how):
    case = changed(operation(4, 3, 5, 6), how)
    with pytest.raises(ValueError, match=r"wanted|fit|must be"):
        NATIVE.forward(*case.forward)
    with pytest.raises(ValueError, match=r"wanted|fit|must be"):
        NATIVE.backward(*case.backward, True)


@pytest.mark.parametrize(
    "g", [(4, 3, 5, 6), (4, 3, 3, 2), (4, 2, 3, 3), (3, 3, 3, 3), (4, 9, 3)], ids=lambda shape: str(shape)
)
def test_gradients_of_other_maps_are_refused(operation, g):
    case = replace(operation(4, 3, 5, 6, stride=2), g=torch.zeros(g))
    with pytest.raises(ValueError, match="do not fit z"):
        NATIVE.backward(*case.backward, True)


def test_a_place_for_gradients_that_does_not_fit_is_refused(operation):
    case = operation(4, 3, 5, 6)
    for into in (
        torch.empty(4, 3, 5, 5),
        torch.empty(3, 3, 5, 6),
        torch.empty(4, 3, 5, 6, dtype=torch.float64),
        torch.empty(4, 3, 6, 5).transpose(2, 3),
    ):
        with pytest.raises(ValueError, match=r"wanted|fit"):
            NATIVE.backward(*case.backward, True, into)
    for wrong in (case.g.double(), case.g.transpose(2, 3).contiguous().transpose(2, 3)):
        with pytest.raises(ValueError, match="g: contiguous float32"):
            NATIVE.backward(wrong, *case.forward, True)


@pytest.mark.parametrize("groups", [0, 1, 3, 5, 13, 60])
def test_groups_that_are_neither_nodes_nor_maps_are_refused(groups):
    with pytest.raises(ValueError, match=f"{groups} groups do not fit 4 nodes × 3 images"):
        NATIVE.statistics(torch.zeros(4, 3, 5, 1), groups)


def test_statistics_of_other_tensors_are_refused():
    for z in (torch.zeros(4, 3, 5, 6).double(), torch.zeros(4, 3, 6, 5).transpose(2, 3), torch.zeros(4, 30)):
        with pytest.raises(ValueError, match="wanted"):
            NATIVE.statistics(z, 4)
