"""Presets: one YAML file per pair with every number's source, and the code that reads them."""

from agents.deeprl.presets.preset import PRESETS, Preset, preset

__all__ = ["PRESETS", "Preset", "preset"]
