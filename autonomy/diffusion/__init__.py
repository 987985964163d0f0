"""p(x | context) by denoising diffusion, for a few numbers x in [-1, 1]. Knows nothing of robots."""
