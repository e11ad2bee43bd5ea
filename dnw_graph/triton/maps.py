"""Kernels of the node operation on [C, B, H, W].

A group is what shares mean and variance: all maps of a channel (batch norm) or one map (instance norm). Its
maps lie behind each other, so that a program takes some rows of one group, with every parameter a scalar.

A size may be 1: Triton then compiles the number itself, which has no methods of a tensor. It also compiles
anew for sizes that divide by 16. Only those are worth it by which rows of pixels begin; the others say so.
"""

from __future__ import annotations

import triton
import triton.language as tl

# Sums of a group, padded to a power of two: nine of the kernel, Σ dy and Σ dy·n.
SUMS: tl.constexpr = tl.constexpr(16)
OF_SHIFT: tl.constexpr = tl.constexpr(9)
OF_SCALE: tl.constexpr = tl.constexpr(10)


@triton.jit(do_not_specialize=["parts"])
def statistics_kernel(
    z: tl.tensor,
    mean: tl.tensor,
    squares: tl.tensor,
    length: tl.tensor,
    parts: tl.tensor,
    span: tl.tensor,
    BLOCK: tl.constexpr,
) -> None:
    """Mean, and Σ (z − mean)² divided by `length`, of each part of each group; both [groups, parts]."""
    group = tl.program_id(0) // parts
    begin = tl.program_id(0) % parts * span
    end = tl.minimum(begin + span, length)
    here = z + group.to(tl.int64) * length
    count = tl.zeros((), tl.float32)
    centre = tl.zeros((), tl.float32)
    spread = tl.zeros((), tl.float32)
    for start in range(begin, end, BLOCK):
        at = start + tl.arange(0, BLOCK)
        inside = at < end
        x = tl.load(here + at, mask=inside, other=0).to(tl.float32)
        new = tl.minimum(end - start, BLOCK).to(tl.float32)
        middle = tl.sum(x, 0) / new
        off = tl.where(inside, x - middle, 0.0)
        # Chan, Golub, LeVeque 1979: what two samples become together.
        step = middle - centre
        both = count + new
        spread += tl.sum(off * off, 0) + step * step * count * new / both
        centre += step * new / both
        count = both
    tl.store(mean + tl.program_id(0), centre)
    tl.store(squares + tl.program_id(0), spread / length)


@triton.jit(do_not_specialize=["length", "parts", "span"])
def combine_kernel(
    means: tl.tensor,
    squares: tl.tensor,
    mean: tl.tensor,
    variance: tl.tensor,
    length: tl.tensor,
    parts: tl.tensor,
    span: tl.tensor,
    PARTS: tl.constexpr,
) -> None:
    """What `statistics_kernel` found in the parts of each group, as mean and variance of the group."""
    part = tl.arange(0, PARTS)
    inside = part < parts
    at = tl.program_id(0) * parts + part
    share = tl.minimum(span, length - part * span) / length
    share = tl.where(inside, share, 0.0)
    centres = tl.load(means + at, mask=inside, other=0)
    centre = tl.sum(share * centres, 0)
    off = centres - centre
    spread = tl.sum(tl.load(squares + at, mask=inside, other=0) + share * off * off, 0)
    tl.store(mean + tl.program_id(0), centre)
    tl.store(variance + tl.program_id(0), spread)


@triton.jit(do_not_specialize=["groups", "images", "height", "out_height"])
def forward_kernel(
    z: tl.tensor,
    mean: tl.tensor,
    rstd: tl.tensor,
    scale: tl.tensor,
    shift: tl.tensor,
    kernel: tl.tensor,
    h: tl.tensor,
    groups: tl.tensor,
    images: tl.tensor,
    height: tl.tensor,
    width: tl.tensor,
    out_height: tl.tensor,
    out_width: tl.tensor,
    STRIDE: tl.constexpr,
    ROWS: tl.constexpr,
    WIDTH: tl.constexpr,
) -> None:
    """h = conv3×3(ReLU(norm(z))): a program is ROWS × WIDTH pixels of h, in one group.

    groups, images  groups per channel, and maps per group
    """
    across = tl.cdiv(out_width, WIDTH)
    blocks = tl.cdiv(images * out_height, ROWS)
    group = tl.program_id(0) // (across * blocks)
    r = tl.program_id(0) // across % blocks * ROWS + tl.arange(0, ROWS)
    x = tl.program_id(0) % across * WIDTH + tl.arange(0, WIDTH)
    image, y = r // out_height, r % out_height
    channel = group // groups
    centre = tl.load(mean + group).to(tl.float32)
    slope = tl.load(rstd + group).to(tl.float32) * tl.load(scale + channel).to(tl.float32)
    lift = tl.load(shift + channel).to(tl.float32)
    here = z + group.to(tl.int64) * images * height * width
    total = tl.zeros((ROWS, WIDTH), tl.float32)
    for dy in tl.static_range(3):
        top = y * STRIDE + dy - 1
        row_inside = (image < images) & (top >= 0) & (top < height)
        for dx in tl.static_range(3):
            left = x * STRIDE + dx - 1
            inside = row_inside[:, None] & ((left >= 0) & (left < width))[None, :]
            at = ((image * height + top) * width)[:, None] + left[None, :]
            state = tl.load(here + at, mask=inside, other=0).to(tl.float32)
            normed = (state - centre) * slope + lift
            # Not a maximum: a NaN must stay one. The padding is of activations, after the norm.
            active = tl.where((normed <= 0) | (inside == 0), 0.0, normed)
            total += active * tl.load(kernel + channel * 9 + dy * 3 + dx).to(tl.float32)
    to = h + group.to(tl.int64) * images * out_height * out_width
    written = (image < images)[:, None] & (x < out_width)[None, :]
    tl.store(to + (r * out_width)[:, None] + x[None, :], total.to(h.dtype.element_ty), mask=written)


@triton.jit(do_not_specialize=["groups", "images", "height", "out_height", "parts", "tiles"])
def backward_kernel(
    g: tl.tensor,
    z: tl.tensor,
    mean: tl.tensor,
    rstd: tl.tensor,
    scale: tl.tensor,
    shift: tl.tensor,
    kernel: tl.tensor,
    sums: tl.tensor,
    grad_z: tl.tensor,
    groups: tl.tensor,
    images: tl.tensor,
    height: tl.tensor,
    width: tl.tensor,
    out_height: tl.tensor,
    out_width: tl.tensor,
    parts: tl.tensor,
    tiles: tl.tensor,
    STRIDE: tl.constexpr,
    SUM: tl.constexpr,
    WRITE: tl.constexpr,
    THROUGH: tl.constexpr,
    ROWS: tl.constexpr,
    WIDTH: tl.constexpr,
) -> None:
    """Gradients for g = ∂L/∂h: a program is `tiles` tiles of ROWS × WIDTH pixels of z, in one group.

    With n = (z − mean)·rstd, y = n·scale + shift and dy = ∂L/∂y:

    SUM      sums [groups of all channels, parts, 16]: ∂L/∂kernel (9), Σ dy, Σ dy·n of each program
    WRITE    ∂L/∂z = scale·rstd·dy
    THROUGH  … − scale·rstd·(mean(dy) + n·mean(dy·n)), the means from `sums` [groups of all channels, 16], or,
             with SUM, of this program's one tile, which is the whole group
    """
    across = tl.cdiv(width, WIDTH)
    group = tl.program_id(0) // parts
    channel = group // groups
    centre = tl.load(mean + group).to(tl.float32)
    slope = tl.load(rstd + group).to(tl.float32)
    factor = tl.load(scale + channel).to(tl.float32)
    lift = tl.load(shift + channel).to(tl.float32)
    here = group.to(tl.int64) * images * height * width
    there = group.to(tl.int64) * images * out_height * out_width
    size = 1.0 * images * height * width
    number = tl.arange(0, SUMS)
    found = tl.zeros((SUMS,), tl.float32)
    mean_dy = tl.zeros((), tl.float32)
    mean_along = tl.zeros((), tl.float32)
    if THROUGH and not SUM:
        mean_dy = tl.load(sums + group * SUMS + OF_SHIFT) / size
        mean_along = tl.load(sums + group * SUMS + OF_SCALE) / size
    first = tl.program_id(0) % parts * tiles
    for tile in range(first, first + tiles):
        r = tile // across * ROWS + tl.arange(0, ROWS)
        x = tile % across * WIDTH + tl.arange(0, WIDTH)
        image, y = r // height, r % height
        inside = (image < images)[:, None] & (x < width)[None, :]
        at = (r * width)[:, None] + x[None, :]
        normed = (tl.load(z + here + at, mask=inside, other=0).to(tl.float32) - centre) * slope
        before = normed * factor + lift
        active = tl.where(before <= 0, 0.0, before)
        slopes = tl.zeros((ROWS, WIDTH), tl.float32)
        for ky in tl.static_range(3):
            down = y + 1 - ky
            v = down // STRIDE
            row_heard = (image < images) & (down >= 0) & (v < out_height) & (v * STRIDE == down)
            for kx in tl.static_range(3):
                right = x + 1 - kx
                u = right // STRIDE
                heard = (right >= 0) & (u < out_width) & (u * STRIDE == right) & (x < width)
                to = there + ((image * out_height + v) * out_width)[:, None] + u[None, :]
                mask = row_heard[:, None] & heard[None, :]
                above = tl.load(g + to, mask=mask, other=0).to(tl.float32)
                slopes += above * tl.load(kernel + channel * 9 + ky * 3 + kx).to(tl.float32)
                if SUM:
                    product = tl.where(mask, above * active, 0.0)
                    found += tl.where(number == ky * 3 + kx, tl.sum(tl.sum(product, 1), 0), 0.0)
        dy = tl.where((before <= 0) | (inside == 0), 0.0, slopes)
        if SUM:
            of_shift = tl.sum(tl.sum(dy, 1), 0)
            of_scale = tl.sum(tl.sum(tl.where(inside, dy * normed, 0.0), 1), 0)
            found += tl.where(number == OF_SHIFT, of_shift, 0.0)
            found += tl.where(number == OF_SCALE, of_scale, 0.0)
            if THROUGH:
                mean_dy = of_shift / size
                mean_along = of_scale / size
        if WRITE:
            gradient = factor * slope * (dy - mean_dy - normed * mean_along)
            tl.store(grad_z + here + at, gradient.to(grad_z.dtype.element_ty), mask=inside)
    if SUM:
        tl.store(sums + tl.program_id(0).to(tl.int64) * SUMS + number, found)
