"""Denoising diffusion of vectors: its training loss, sampling from any noise level, and in-painting."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from autonomy.checks import number, whole
from autonomy.types import UserError


class Diffusion(nn.Module):
    """A density p(x | context) of x (B, D) in [-1, 1], as the reversal of a noising process (Ho et al., 2020).

    q(x_k | x_0) = N(sqrt(a_k) x_0, (1 - a_k) I), where the squared-cosine schedule a (Nichol and Dhariwal, 2021) falls
    from a_0 = 1, the data, to a_K = 0, pure noise, over the noise levels k = 0 ... K.

    denoiser: a module eps(x_k (B, D), k (B,), context (B, C)) -> the noise (B, D) in x_k.
    levels: K. steps: evaluations of the denoiser on the way from K to 0, each K / `steps` levels down (Song et al.,
    2021, DDIM); from a lower level there are fewer. eta: fresh noise in a step, from 0, none (DDIM), to 1, ancestral
    sampling. resample: evaluations at each level when values are known, see `complete`.
    Raises `UserError` for numbers out of range, and for `steps` that do not divide `levels`.
    """

    def __init__(
        self, denoiser: nn.Module, levels: int = 100, steps: int = 10, eta: float = 1.0, resample: int = 3
    ) -> None:
        from diffusers.schedulers.scheduling_ddim import DDIMScheduler  # takes seconds

        super().__init__()
        self.levels, self.eta = whole("levels", levels, 2), number("eta", eta, 0, 1)
        self.resample = whole("resample", resample, 1)
        if levels % whole("steps", steps, 1):  # the scheduler's steps would end at other levels than it takes them for
            raise UserError(f"steps must be a divisor of the {levels} noise levels, got {steps}")
        self.denoiser, self.stride = denoiser, levels // steps
        self.scheduler = DDIMScheduler(levels, beta_schedule="squaredcos_cap_v2", clip_sample=True)
        self.scheduler.set_timesteps(steps)

    def loss(self, x: Tensor, context: Tensor, generator: torch.Generator) -> Tensor:
        """mean (eps - eps(x_k, k, context))^2 over rows and dimensions, k uniform in 1 ... K (Ho et al., eq. 14)."""
        level = torch.randint(1, self.levels + 1, (len(x),), generator=generator).to(x.device)
        noise = _noise(x, generator)
        noisy = self.scheduler.add_noise(x, noise, level - 1)
        return nn.functional.mse_loss(self.denoiser(noisy, level, context), noise)

    def noised(self, x: Tensor, level: int, generator: torch.Generator) -> Tensor:
        """A draw of q(x_k | x_0 = x) at k = `level`: at 0 `x` itself, at K independent of it."""
        if level == 0:
            return x
        noise = _noise(x, generator)
        if level == self.levels:  # where the scheduler stops a little short of a = 0
            return noise
        noisy: Tensor = self.scheduler.add_noise(x, noise, torch.full((len(x),), level - 1, device=x.device))
        return noisy

    def denoise(self, x: Tensor, level: int, context: Tensor, generator: torch.Generator) -> Tensor:
        """From x_k (B, D) at k = `level` down to x_0."""
        for k in range(level, 0, -self.stride):
            x = self._down(x, k, context, generator)
        return x

    def complete(self, x: Tensor, known: Tensor, context: Tensor, generator: torch.Generator) -> Tensor:
        """x (B, D) with what is outside `known` (B, D) drawn given the rest: RePaint (Lugmayr et al., 2022).

        Before each step down the known values are put in, noised to its level. The unknown values that it sees beside
        them were drawn without them, so they are noised up again and the step repeated, `resample` steps in all, but
        for the first level, where nothing is seen of either. When nothing is known, `x` is not read, and the result is
        a plain draw of p(x | context).
        """
        resample = self.resample if known.any() else 1
        noisy = _noise(x, generator)
        for k in range(self.levels, 0, -self.stride):
            for repeat in range(resample if k < self.levels else 1):
                if repeat:
                    noisy = self._up(noisy, k, generator)
                noisy = torch.where(known, self.noised(x, k, generator), noisy)
                noisy = self._down(noisy, k, context, generator)
        return torch.where(known, x, noisy)

    def _down(self, x: Tensor, level: int, context: Tensor, generator: torch.Generator) -> Tensor:
        """One step from `level` to `level` - `stride`, or to 0 where that is below."""
        noise = self.denoiser(x, torch.full((len(x),), level, device=x.device), context)
        step = self.scheduler.step(noise, level - 1, x, self.eta, generator=generator, return_dict=False)
        lower: Tensor = step[0]
        return lower

    def _up(self, x: Tensor, level: int, generator: torch.Generator) -> Tensor:
        """A draw of q(x_k | x_j) at k = `level` for x at the level j to which `_down` leads from there."""
        signal = self.scheduler.alphas_cumprod
        kept: Tensor = signal[level - 1] / (signal[level - 1 - self.stride] if level > self.stride else 1.0)
        return kept.sqrt() * x + (1 - kept).sqrt() * _noise(x, generator)


def _noise(like: Tensor, generator: torch.Generator) -> Tensor:
    """Standard Gaussian, drawn where the generator is."""
    return torch.randn(like.shape, generator=generator).to(like.device)
