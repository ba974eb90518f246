"""Fused operators, each beside the plain reference that defines it."""

from dldl_mm.ops.soft_kl import soft_kl

__all__ = ['soft_kl']
